r"""Compare two expressions by their values: exactly where they are fractions, else to ninety digits at fixed points.

A difference is an answer. Agreement is one too if it is exact, or holds at every point to sixty digits, points with
negative values among them: no expression of the length that is read here comes so near another without being it.
"""

from fractions import Fraction
from typing import Any

from quagpredict.answers.expression import Node, Operation, has_decimal, symbols_of
from quagpredict.answers.numeric import context_of, exact, value_at

_LOW, _HIGH = 30, 90  # digits: a first look, and what agreement is proved by
_DIFFERENT = 1e-20  # relative
_PLACES = ("positive", "positive too", "mixed", "mixed too")
_WHOLE = ("whole", "whole too")


def equal_values(answer: Node, gold: Node, tolerance: float) -> bool | None:
    r"""Say whether two expressions have the same value, or None if that cannot be told.

    Parameters
    ----------
    answer, gold : Node
    tolerance : float
        Allowed difference relative to the gold where one of them has a decimal. Never where the gold is whole.

    Examples
    --------
    >>> from quagpredict.answers.expression import read_expression
    >>> from quagpredict.answers.tokens import tokens_of
    >>> node = lambda text: read_expression(tokens_of(text))[0]
    >>> equal_values(node(r"\frac{2\pi}{3}"), node(r"2\frac{\pi}{3}"), 0), equal_values(node("x+x"), node("2x"), 0)
    (True, True)
    >>> equal_values(node(r"\frac{1}{30!}"), node(r"\frac{1}{31!}"), 1e-6)
    False
    >>> equal_values(node("0.333333"), node("1/3"), 1e-6)
    True
    """
    if answer == gold:
        return True
    signs = _infinite(answer), _infinite(gold)
    if signs != (0, 0):
        return signs[0] == signs[1]
    allowed = Fraction(str(tolerance)) if has_decimal(answer) or has_decimal(gold) else Fraction(0)
    first, second = exact(answer), exact(gold)
    if first is not None and second is not None:
        return _near(first, second, allowed)
    names = symbols_of(answer) | symbols_of(gold)
    verdicts = [_agree(answer, gold, point, allowed) for point in (_PLACES if names else _PLACES[:1])]
    if False in verdicts[:2]:
        # (-1)^n and cos(n pi) are the same for whole n only.
        return None if names and all(_agree(answer, gold, point, allowed) for point in _WHOLE) else False
    return True if all(verdicts) else None


def _near(value: Fraction, gold: Fraction, allowed: Fraction) -> bool:
    return value == gold or (gold.denominator != 1 and abs(value - gold) <= abs(gold) * allowed)


def _infinite(node: Node) -> int:
    if node == Operation("infty"):
        return 1
    return -1 if node == Operation("neg", (Operation("infty"),)) else 0


def _agree(answer: Node, gold: Node, point: str, allowed: Fraction) -> bool | None:
    """Say whether both have the same value at a place, None if one has none. A log without base has either base."""
    agreements = [_agree_in_base(answer, gold, point, allowed, base) for base in ("e", "10")]
    return True if True in agreements else agreements[0]


def _agree_in_base(answer: Node, gold: Node, point: str, allowed: Fraction, base: str) -> bool | None:
    low = _both(answer, gold, point, base, _LOW)
    if low is None:
        return None
    first, second = low
    context = context_of(_LOW)
    size = max(abs(first), abs(second))
    difference = abs(first - second)
    whole = abs(second - context.nint(second.real)) < 1e-15 * (1 + abs(second))
    if allowed and not whole:
        return bool(difference <= abs(second) * context.mpf(allowed.numerator) / allowed.denominator)
    if difference > size * _DIFFERENT and difference > _DIFFERENT:
        return False
    high = _both(answer, gold, point, base, _HIGH)
    if high is None:
        return None
    precise = abs(high[0] - high[1])
    # A real difference stays as the digits grow; one of rounding vanishes.
    proved = (
        precise <= max(abs(high[0]), abs(high[1])) * context_of(_HIGH).mpf(10) ** -60 or precise < difference * 1e-30
    )
    return bool(proved)


def _both(answer: Node, gold: Node, point: str, base: str, digits: int) -> tuple[Any, Any] | None:
    first = value_at(answer, point, base, digits)
    second = None if first is None else value_at(gold, point, base, digits)
    return None if second is None else (first, second)


def proportional(left: Node, right: Node, other_left: Node, other_right: Node) -> bool | None:
    r"""Say whether two equations are the same but for a constant factor; None if that cannot be told.

    Examples
    --------
    >>> from quagpredict.answers.expression import read_expression
    >>> from quagpredict.answers.tokens import tokens_of
    >>> node = lambda text: read_expression(tokens_of(text))[0]
    >>> proportional(node("y"), node("2x+3"), node("2y-4x"), node("6"))
    True
    >>> proportional(node("y"), node("2x"), node("y"), node("3x")) is None
    True
    """
    equation = Operation("add", (left, Operation("neg", (right,))))
    other = Operation("add", (other_left, Operation("neg", (other_right,))))
    names = symbols_of(equation)
    if not names or names != symbols_of(other):
        return False
    pairs = [_both(equation, other, point, "e", _HIGH) for point in _PLACES]
    nonzero = [pair for pair in pairs if pair is not None and pair[0] != 0 and pair[1] != 0]
    if len(nonzero) < len(pairs):
        return None
    ratios = [first / second for first, second in nonzero]
    spread = max(abs(ratio - ratios[0]) for ratio in ratios) / abs(ratios[0])
    return True if spread < context_of(_HIGH).mpf(10) ** -60 else None
