"""Tell different expressions apart by their values at a few points, without a symbolic engine.

A small reader of its own: numbers, letters, sums, products, powers, roots, fractions. What it cannot read it leaves
alone, and that values agree proves nothing: only a difference is an answer.
"""

import hashlib
import math
import re
from functools import lru_cache
from typing import NoReturn

_POINTS = 2
_DIFFERENT = 1e-5  # relative; between 0 and this the symbolic engine decides
_CANCELLED = 1e-9  # what rounding may leave where terms cancel
_TOKEN = re.compile(r"[0-9]+(?:\.[0-9]+)?|\.[0-9]+|\\(?:frac|sqrt|pi|cdot|times)(?![A-Za-z])|[A-Za-z]|[-+*/^(){}\[\] ]")
_WORD = re.compile(r"(?<!\\)(?<![A-Za-z])[A-Za-z]{4,}")
_WITH_UNIT = re.compile(r"-?[0-9.,/]+\s*[A-Za-z]+")
_MOST_TOKENS = 200


class _UnreadError(Exception):
    """The text is none that this reader reads."""


def differ(answer: str, gold: str) -> bool:
    r"""Say whether two canonical texts are expressions that differ for certain; False if that is not known.

    Examples
    --------
    >>> differ("2\\sqrt{5}", "349"), differ("x+x", "2x"), differ("5r^2", "3r^2"), differ("5m", "5")
    (True, False, True, False)
    """
    if _WITH_UNIT.fullmatch(answer) or _WITH_UNIT.fullmatch(gold):
        return False  # the letter may be a unit
    for point in range(_POINTS):
        first, second = _value(answer, point), _value(gold, point)
        if first is None or second is None:
            return False
        if abs(first - second) > max(_DIFFERENT * max(abs(first), abs(second)), _CANCELLED):
            return True
    return False


@lru_cache(maxsize=8192)
def _value(text: str, point: int) -> float | None:
    if _WORD.search(text):
        return None
    tokens = _TOKEN.findall(text)
    if len(tokens) > _MOST_TOKENS or "".join(tokens) != text:
        return None
    tokens = [token for token in tokens if token != " "]
    try:
        value = _Reader(tokens, point).whole()
    except (_UnreadError, ArithmeticError, RecursionError):
        return None
    return value if math.isfinite(value) else None


class _Reader:
    """Reads tokens from left to right by the usual order of operations, and computes on the way."""

    def __init__(self, tokens: list[str], point: int) -> None:
        self.tokens = tokens
        self.point = point
        self.at = 0

    def whole(self) -> float:
        value = self.sum()
        return value if self.at == len(self.tokens) else self.unread()

    def unread(self) -> NoReturn:
        raise _UnreadError

    def next(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, *wanted: str) -> bool:
        found = self.next() in wanted
        self.at += found
        return found

    def sum(self) -> float:
        value = self.product()
        while self.next() in ("+", "-"):
            sign = 1.0 if self.take("+") else -1.0
            self.take("-") if sign < 0 else None
            value += sign * self.product()
        return value

    def product(self) -> float:
        value = self.signed()
        while (token := self.next()) not in ("", "+", "-", ")", "}", "]"):
            if self.take("/"):
                value /= self.signed()
            elif self.take("*", "\\cdot", "\\times"):
                value *= self.signed()
            elif token[0].isdigit() or token in ("^", "["):
                self.unread()  # 2 3, or what stands before was no factor
            else:
                value *= self.power()
        return value

    def signed(self) -> float:
        if self.take("-"):
            return -self.signed()
        return self.signed() if self.take("+") else self.power()

    def power(self) -> float:
        value = self.atom()
        if self.take("^"):
            exponent = self.group() if self.next() == "{" else self.atom()
            if value < 0 and exponent != round(exponent):
                self.unread()
            value = float(value**exponent)
        return value

    def atom(self) -> float:
        token = self.next()
        self.at += 1
        if token[:1].isdigit() or token[:1] == ".":
            if self.next() == "\\frac":
                return float(token) + self.atom()  # a mixed number
            return float(token)
        if token == "\\frac":
            over = self.group()
            return over / self.group()
        if token == "\\sqrt":
            degree = 2.0
            if self.take("["):
                degree = self.sum()
                self.take("]") or self.unread()
            under = self.group()
            return float(under ** (1 / degree)) if under >= 0 else self.unread()
        if token == "(":
            return self.closed(")")
        if token == "{":
            return self.closed("}")
        if token == "\\pi":
            return math.pi
        if token == "e":
            return math.e
        if token == "i" or not token.isalpha():
            self.unread()
        mark = hashlib.sha256(f"{token}{self.point}".encode()).digest()
        return 0.5 + 2 * int.from_bytes(mark[:6], "big") / 2**48

    def group(self) -> float:
        return self.closed("}") if self.take("{") else self.unread()

    def closed(self, mark: str) -> float:
        value = self.sum()
        return value if self.take(mark) else self.unread()
