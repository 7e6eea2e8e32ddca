r"""The exact value of an expression of numbers: fractions in, a fraction out, nothing that could take long."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache
from math import ceil, comb, factorial, floor
from typing import Any

from quagpredict.answers.expression import Literal, Node, Symbol

_MAX_BITS = 40_000


class UnknownError(Exception):
    """The value is not computed: too large, undefined, or of a kind that is not known here."""


@lru_cache(maxsize=16384)
def exact(node: Node) -> Fraction | None:
    r"""Return the value of an expression of numbers and rational operations, None for any other.

    Examples
    --------
    >>> from quagpredict.answers.expression import read_expression
    >>> from quagpredict.answers.tokens import tokens_of
    >>> [exact(read_expression(tokens_of(text))[0]) for text in (r"3\frac{1}{2}", "2^{10}/3!", "1/0", "x")]
    [Fraction(7, 2), Fraction(512, 3), None, None]
    """
    if isinstance(node, Literal):
        return node.value
    if isinstance(node, Symbol) or node.name not in OPERATIONS:
        return None
    parts = [exact(argument) for argument in node.arguments]
    exact_parts = [part for part in parts if part is not None]
    if len(exact_parts) < len(parts) or any(_bits(part) > _MAX_BITS for part in exact_parts):
        return None
    try:
        return Fraction(OPERATIONS[node.name](*exact_parts))
    except (UnknownError, ArithmeticError):
        return None


def _bits(value: Fraction) -> int:
    return value.numerator.bit_length() + value.denominator.bit_length()


def _product(*parts: Any) -> Any:
    result = parts[0]
    for part in parts[1:]:
        result = result * part
    return result


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1 or _bits(base) * abs(exponent) > _MAX_BITS:
        raise UnknownError
    return Fraction(base ** int(exponent))


def _whole(value: Fraction) -> int:
    if value.denominator != 1 or not 0 <= value <= 2500:
        raise UnknownError
    return int(value)


OPERATIONS: Mapping[str, Callable[..., Any]] = {
    "add": lambda *parts: sum(parts),
    "mul": _product,
    "neg": lambda part: -part,
    "div": lambda over, under: over / under,
    "pow": _power,
    "abs": abs,
    "floor": floor,
    "ceil": ceil,
    "factorial": lambda part: factorial(_whole(part)),
    "binom": lambda n, k: comb(_whole(n), _whole(k)),
    "max": lambda *parts: max(parts),
    "min": lambda *parts: min(parts),
}
