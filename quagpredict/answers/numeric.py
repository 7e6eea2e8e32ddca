r"""The value of an expression: an exact fraction where it is one, else complex numbers of as many digits as wanted.

Fractions in, a fraction out: nothing there could take long. The other is by mpmath, at a point.
"""

import hashlib
import threading
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cache, lru_cache
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


_LARGEST = 10**4  # factorials and exponents of e beyond are not computed
_MOST_DIGITS = 200_000  # before the point
_FUNCTIONS = {
    **{"abs": "fabs", "sqrt": "sqrt", "exp": "exp"},
    **{name: name for name in ("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "coth")},
    **{f"arc{name}": f"a{name}" for name in ("sin", "cos", "tan", "cot", "sinh", "cosh", "tanh")},
}


@lru_cache(maxsize=16384)
def value_at(node: Node, point: str, base: str, digits: int) -> Any:
    """Return the value of an expression at a place, None if it has none or is not computed.

    Parameters
    ----------
    point : str
        Names a point: "positive", "mixed" (negative coordinates too) or "whole", with any ending.
    base : {"e", "10"}
        Of a log that has none.
    digits : int
        To compute with.

    Returns
    -------
    mpmath number or None

    Examples
    --------
    >>> from quagpredict.answers.expression import read_expression
    >>> from quagpredict.answers.tokens import tokens_of
    >>> value_at(read_expression(tokens_of("4^{-1/2}"))[0], "positive", "e", 15)
    mpf('0.5')
    """
    try:
        value = _Evaluation(context_of(digits), point, base).of(node)
    except (UnknownError, ArithmeticError, ValueError, TypeError):
        return None
    return value if context_of(digits).isfinite(value) else None


_local = threading.local()  # mpmath keeps its precision in the context, and changes it while it computes


def context_of(digits: int) -> Any:
    """Return this thread's mpmath context of so many digits."""
    contexts: dict[int, Any] | None = getattr(_local, "contexts", None)
    if contexts is None:
        contexts = _local.contexts = {}
    if digits not in contexts:
        from mpmath import MPContext

        contexts[digits] = MPContext()
        contexts[digits].dps = digits
    return contexts[digits]


class _Evaluation:
    """The value of a tree at one place, in complex numbers."""

    def __init__(self, context: Any, point: str, base: str) -> None:
        self.context = context
        self.place = point
        self.base = base

    def of(self, node: Node) -> Any:
        if isinstance(node, Literal):
            return self.context.mpf(node.value.numerator) / node.value.denominator
        if isinstance(node, Symbol):
            return self.context.mpf(_coordinate(node.name, self.place).numerator) / 2**20
        parts = [self.of(argument) for argument in node.arguments]
        if any(abs(part) > self.context.mpf(10) ** _MOST_DIGITS for part in parts):
            raise UnknownError
        return self.operation(node.name, parts)

    def operation(self, name: str, parts: list[Any]) -> Any:
        context = self.context
        if name in ("pi", "e", "i"):
            return {"pi": +context.pi, "e": +context.e, "i": context.mpc(0, 1)}[name]
        if name == "add":
            return context.fsum(parts)
        if name in ("mul", "neg", "div"):
            return OPERATIONS[name](*parts)
        if name == "pow":
            return self.power(*parts)
        if name == "root":
            return self.root(*parts)
        if name in ("factorial", "binom"):
            if any(abs(part) > _LARGEST for part in parts):
                raise UnknownError
            return context.factorial(parts[0]) if name == "factorial" else context.binomial(*parts)
        if name in ("ln", "log", "log10"):
            return self.logarithm(name, *parts)
        if name in ("floor", "ceil", "max", "min", "gcd", "lcm"):
            return self.of_reals(name, parts)
        if any(abs(part) > 10**12 for part in parts) and name not in ("abs", "sqrt"):
            raise UnknownError
        function = _FUNCTIONS.get(name)
        if function is None or len(parts) != 1:
            raise UnknownError
        if name == "exp" and abs(parts[0]) > _LARGEST:
            raise UnknownError
        return getattr(context, function)(parts[0])

    def root(self, value: Any, degree: Any) -> Any:
        """Return the real root of a real number where there is one, -2 of -8, else the principal one."""
        odd = degree == self.context.nint(degree.real) and int(degree.real) % 2
        if odd and value.imag == 0 and value.real < 0:
            return -self.power(-value, 1 / degree)
        return self.power(value, 1 / degree)

    def power(self, base: Any, exponent: Any) -> Any:
        context = self.context
        if base == 0:
            if exponent.imag == 0 and exponent.real > 0:
                return base
            raise UnknownError
        if abs(exponent) > 10**6 or abs(exponent * context.ln(abs(base))) > 2 * _MOST_DIGITS:
            raise UnknownError
        return context.power(base, exponent)

    def logarithm(self, name: str, value: Any, base: Any = None) -> Any:
        context = self.context
        if value == 0:
            raise UnknownError
        natural = context.ln(value)
        if base is None and (name == "log10" or (name == "log" and self.base == "10")):
            base = context.mpf(10)
        return natural if base is None else natural / context.ln(base)

    def of_reals(self, name: str, parts: list[Any]) -> Any:
        if any(part.imag != 0 for part in parts):
            raise UnknownError
        reals = [part.real for part in parts]
        if name in ("max", "min"):
            return max(reals) if name == "max" else min(reals)
        if name in ("gcd", "lcm"):
            raise UnknownError
        value = reals[0]
        if abs(value) > 10**15:
            raise UnknownError
        nearest = self.context.nint(value)
        if abs(value - nearest) < self.context.mpf(10) ** (-self.context.dps // 2):
            return nearest  # 3 that was computed as 2.99...9
        return self.context.floor(value) if name == "floor" else self.context.ceil(value)


@cache
def _coordinate(name: str, point: str) -> Fraction:
    """Return the value of a variable at a place, in units of 2^-20: fixed, and of no meaning."""
    mark = int.from_bytes(hashlib.sha256(f"{name}\x00{point}".encode("utf-8", "surrogatepass")).digest()[:6], "big")
    if point.startswith("whole"):
        return Fraction((2 + mark % 11) << 20)
    value = Fraction((1 << 19) + mark % (1 << 21))
    return -value if point.startswith("mixed") and mark >> 40 & 1 else value
