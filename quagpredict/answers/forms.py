r"""An answer in a small structured form: a value with its unit, a list, an equation, a letter and so on, item by item.

Everything is compared in this form; text that has none is `Other`, and equals nothing but the same text.
"""

from dataclasses import dataclass

from quagpredict.answers.expression import Node
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
