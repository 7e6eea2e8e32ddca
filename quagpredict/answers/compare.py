"""Answer against gold by text, numbers and lists of numbers; what these leave open is for the symbolic stage."""

import re
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

from quagpredict.answers.fingerprint import differ
from quagpredict.answers.normalise import Number, canonical, number, quantity
from quagpredict.answers.policy import GradingPolicy

_ASSIGNMENT = re.compile(r"[A-Za-z](?:_(?:[0-9A-Za-z]|\{[^{}]*\}))?(?:\([A-Za-z0-9,]*\))?(?:=|\\in(?![A-Za-z]))")
_BRACKET = re.compile(r"\\[\\{}]|[()\[\]{},;]")
_AND = re.compile(r"(?<=[0-9})\]]),?(?:and|or)(?=[-+0-9.\\(\[])")
_MATRIX = re.compile(r"\\begin\{[pv]?matrix\}(.*)\\end\{[pv]?matrix\}", re.DOTALL)
_BASED = re.compile(r"\(?([0-9A-Za-z]{1,40})\)?_\{?([0-9]{1,2})\}?")
_MAX_ITEMS = 64


def equal(answer: str, gold: str, policy: GradingPolicy) -> bool | None:
    r"""Say whether an answer equals the gold: True, False, or None if text and numbers cannot tell.

    In this order: the same canonical text; numbers (exact fractions, or within the tolerance where one side is a
    decimal), with percent signs and units as the policy says; ``x = 5`` against 5; lists, tuples, sets and intervals
    item by item.

    Parameters
    ----------
    answer, gold : str
        As written; LaTeX, plain text or Unicode.
    policy : GradingPolicy

    Returns
    -------
    bool or None

    Examples
    --------
    >>> policy = GradingPolicy()
    >>> equal("0.5", "\\frac12", policy), equal("2, -1", "-1, 2", policy), equal("(1, 2)", "(2, 1)", policy)
    (True, True, False)
    >>> equal("2x", "x+x", policy) is None
    True
    """
    return _equal(answer, gold, policy, 0)


@lru_cache(maxsize=8192)
def _equal(answer: str, gold: str, policy: GradingPolicy, depth: int) -> bool | None:
    a, g = _bare(canonical(answer)), _bare(canonical(gold))
    if a == g and a:
        return True
    if a.isalpha() and g.isalpha() and a.isascii() and len(g) > 2 and a.casefold() == g.casefold():
        return True
    if _choice(a) == _choice(g) != "":
        return True
    if (based := _same_based(a, g)) is not None:
        return based
    first, second = quantity(answer), quantity(gold)
    if first and second:
        return _same_quantity(first, second, policy)
    if found := _ASSIGNMENT.match(a):
        if not _ASSIGNMENT.match(g) and depth == 0:
            return _equal(a[found.end() :], gold, policy, depth + 1)
    elif (found := _ASSIGNMENT.match(g)) and depth == 0:
        return _equal(answer, g[found.end() :], policy, depth + 1)
    if differ(a, g):
        return False
    return _same_list(a, g, policy, depth) if depth < 4 else None


def _bare(text: str) -> str:
    """Remove parentheses around the whole of a text that is no tuple."""
    if text.startswith("(") and text.endswith(")"):
        found = items(text)
        if found is not None and found[0] == "()" and len(found[1]) == 1 and found[1][0]:
            return found[1][0]
    return text


def _same_based(a: str, g: str) -> bool | None:
    """Compare numbers with their base below, 12_8: by value; the gold's base may be missing. None if there is none."""
    left, right = _BASED.fullmatch(a), _BASED.fullmatch(g)
    if right and not left and a.isalnum():
        return a == right.group(1)
    if not (left or right):
        return None
    values = [_based_value(found) if found else number(text) for found, text in ((left, a), (right, g))]
    if None in values:
        return None
    first, second = (value.value if isinstance(value, Number) else value for value in values)
    return first == second


def _based_value(found: re.Match[str]) -> Fraction | None:
    try:
        return Fraction(int(found.group(1), int(found.group(2))))
    except ValueError:  # a digit or a base that does not exist
        return None


def _choice(text: str) -> str:
    """Return the letter of a multiple choice answer such as (B), B or B), else an empty text."""
    found = re.fullmatch(r"\(?([A-Z])[).]?", text)
    return found.group(1) if found else ""


def _same_quantity(a: tuple[Number, str], g: tuple[Number, str], policy: GradingPolicy) -> bool:
    (left, left_unit), (right, right_unit) = a, g
    if left_unit != right_unit:
        if left_unit and right_unit:
            return False
        if policy.units == "strict":
            return False
    if left.percent == right.percent:
        return _same_value(left, right, policy)
    hundredth, other = (x._replace(value=x.value / 100) if x.percent else x for x in (left, right))
    as_value = policy.percent in ("either", "value") and _same_value(hundredth, other, policy)
    as_number = policy.percent in ("either", "number") and _same_value(left, right, policy)
    return as_value or as_number


def _same_value(a: Number, g: Number, policy: GradingPolicy) -> bool:
    if a.value == g.value:
        return True
    if not (a.decimal or g.decimal):
        return False
    return abs(a.value - g.value) <= abs(g.value) * Fraction(str(policy.relative_tolerance))


def _same_list(a: str, g: str, policy: GradingPolicy, depth: int) -> bool | None:
    left, right = items(a), items(g)
    if depth and (left is None) != (right is None):
        # Inside a list a set is no number: {97, {7919}} is not {97, 7919}.
        (listed, other) = (left, g) if right is None else (right, a)
        return False if listed and listed[0] == "{}" and number(other) else None
    if left is None or right is None or max(len(left[1]), len(right[1])) > _MAX_ITEMS:
        return None
    kinds = {left[0], right[0]}
    if len(kinds) > 1 and kinds not in ({"", "{}"}, {"", "()"}):
        return None
    if kinds == {"", "()"} and policy.brackets == "strict":
        return False
    table = [[_equal(x, y, policy, depth + 1) for x in left[1]] for y in right[1]]
    if len(left[1]) != len(right[1]):
        return False if all(cell is not None for row in table for cell in row) else None
    if "{}" in kinds or (kinds == {""} and policy.lists == "unordered"):
        free = set(range(len(left[1])))
        for row in table:
            match = next((column for column in sorted(free) if row[column]), None)
            if match is None:
                return None if any(row[column] is None for column in free) else False
            free.remove(match)
        return True
    diagonal = [row[position] for position, row in enumerate(table)]
    if all(diagonal):
        return True
    return False if any(cell is False for cell in diagonal) else None


def items(text: str) -> tuple[str, list[str]] | None:
    r"""Split a canonical text into its brackets and items, or return None if it has a single item and no brackets.

    Examples
    --------
    >>> items("(0,\\frac{1}{2}]"), items("\\{1,(2,3)\\}"), items("1,2"), items("x")
    (('(]', ['0', '\\frac{1}{2}']), ('{}', ['1', '(2,3)']), ('', ['1', '2']), None)
    """
    if found := _MATRIX.fullmatch(text):
        rows = [row for row in found.group(1).split("\\\\") if row]
        return f"matrix of {len(rows)} rows", [cell for row in rows for cell in row.split("&")]
    text = _AND.sub(",", text)
    depth = 0
    closes_at = -1
    cuts = []
    for found in _BRACKET.finditer(text):
        mark = found.group()[-1]
        if mark in "([{":
            depth += 1
        elif mark in ")]}":
            depth -= 1
            if depth == 0 and closes_at < 0:
                closes_at = found.end()
        if depth < 0:
            return None
        if mark in ",;":
            cuts.append((found.start(), depth))
    if depth:
        return None
    opening = _BRACKET.match(text)
    if opening and opening.group() in ("(", "[", "\\{") and closes_at == len(text):
        width = opening.end()
        end = len(text) - (2 if text.endswith("\\}") else 1)
        brackets = text[width - 1] + text[-1]
        if width == 2 and brackets != "{}":
            return None
        return brackets, _split(text, width, end, [at for at, level in cuts if level == 1])
    top = [at for at, level in cuts if level == 0]
    return ("", _split(text, 0, len(text), top)) if top else None


def _split(text: str, begin: int, end: int, cuts: list[int]) -> list[str]:
    edges = [begin - 1, *cuts, end]
    return [text[left + 1 : right] for left, right in pairwise(edges)]
