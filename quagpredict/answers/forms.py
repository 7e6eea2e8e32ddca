r"""An answer in a small structured form: a value with its unit, a list, an equation, a letter and so on, item by item.

Everything is compared in this form; text that has none is `Other`, and equals nothing but the same text.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from quagpredict.answers.expression import Node, Operation
from quagpredict.answers.numeric import exact
from quagpredict.answers.units import Unit


@dataclass(frozen=True)
class Value:
    """An expression, its unit, and whether a percent sign followed."""

    node: Node
    unit: Unit = ()
    percent: bool = False


@dataclass(frozen=True)
class Based:
    """A number with its base below."""

    digits: str
    base: int


@dataclass(frozen=True)
class Items:
    """Items in brackets: "()", "[)", "{}", "<>", or "" for a list without; ":" for a ratio."""

    brackets: str
    items: tuple["Form", ...]


@dataclass(frozen=True)
class Union:
    """Intervals or sets, in no order."""

    parts: tuple["Form", ...]


@dataclass(frozen=True)
class Relation:
    """Sides, and the signs between them; the name of a side that is one unknown, else an empty text."""

    sides: tuple["Form", ...]
    signs: tuple[str, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Matrix:
    """Rows of cells; kind is matrix, determinant, norm, cases or aligned."""

    kind: str
    rows: tuple[tuple["Form", ...], ...]


@dataclass(frozen=True)
class Choice:
    """An option's letter, and the value that stands beside it, if any."""

    letter: str
    value: "Form | None" = None


@dataclass(frozen=True)
class Words:
    """Text, in lower case."""

    text: str


@dataclass(frozen=True)
class Other:
    """What is read as none of these; `prose` if words are in it."""

    text: str
    prose: bool = False


Form = Value | Based | Items | Union | Relation | Matrix | Choice | Words | Other


_INFINITY = Value(Operation("infty"))
_MINUS_INFINITY = Value(Operation("neg", (Operation("infty"),)))
_TURNED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


def of_relation(relation: Relation) -> Form | None:
    r"""Return the interval, or the union, that an inequality of one unknown says; None for any other relation.

    Examples
    --------
    >>> from quagpredict.answers.reading import read_form
    >>> of_relation(read_form("1 < x <= 2")) == read_form("(1, 2]")
    True
    """
    sides, signs, names = relation.sides, relation.signs, relation.names
    if len(sides) == 2 and names[1] and not names[0] and signs[0] in _TURNED:
        sides, signs, names = sides[::-1], (_TURNED[signs[0]],), names[::-1]
    if len(sides) == 2 and names[0]:
        bound = sides[1]
        if signs[0] in (">", ">="):
            return Items("(" + ")" if signs[0] == ">" else "[)", (bound, _INFINITY))
        if signs[0] in ("<", "<="):
            return Items("()" if signs[0] == "<" else "(]", (_MINUS_INFINITY, bound))
        if signs[0] == "!=":
            return Union((Items("()", (_MINUS_INFINITY, bound)), Items("()", (bound, _INFINITY))))
        if signs[0] == "in":
            return bound
    if len(sides) == 3 and names[1]:
        if set(signs) <= {">", ">="}:
            sides, signs = sides[::-1], (_TURNED[signs[1]], _TURNED[signs[0]])
        if set(signs) <= {"<", "<="}:
            brackets = ("(" if signs[0] == "<" else "[") + (")" if signs[1] == "<" else "]")
            return Items(brackets, (sides[0], sides[2]))
    return None


def unknown_of(relation: Relation) -> str:
    """Return the name of the unknown that a relation is about, an empty text if that is not clear."""
    names = [name for name in relation.names if name]
    return names[0] if len(names) == 1 else ""


def of_relations(items: Sequence[Form], marks: Sequence[str]) -> Form | None:
    """Return what several inequalities of one unknown say together, None if they are not that.

    With "or" between them their union; with "and" what is in both; with a comma what is in both, or the union where
    nothing is.
    """
    relations = [item for item in items if isinstance(item, Relation)]
    parts = [of_relation(item) for item in relations if "=" not in item.signs]
    intervals = [part for part in parts if isinstance(part, Items) and len(part.items) == 2]
    names = {unknown_of(item) for item in relations}
    if len(intervals) < len(items) or len(names) != 1 or "" in names:
        return None
    if "or" not in marks and len(intervals) == 2:
        common = _common(*intervals)
        if common is not None or "and" in marks:
            return common
    return Union(tuple(intervals))


def _common(first: Items, second: Items) -> Items | None:
    """Return what a ray to the right and one to the left share, None if nothing or if they are no such rays."""
    left, right = (first, second) if first.items[1] == _INFINITY else (second, first)
    low, high = left.items[0], right.items[1]
    if left.items[1] != _INFINITY or right.items[0] != _MINUS_INFINITY:
        return None
    bounds = [exact(bound.node) if isinstance(bound, Value) else None for bound in (low, high)]
    if bounds[0] is None or bounds[1] is None or bounds[0] >= bounds[1]:
        return None
    return Items(left.brackets[0] + right.brackets[1], (low, high))


def of_builder(condition: Form, name: str) -> Form | None:
    """Return the set of the values of an unknown for which a condition holds, None if it is no interval."""
    if isinstance(condition, Relation) and unknown_of(condition) == name:
        return of_relation(condition)
    return condition if isinstance(condition, Union) else None
