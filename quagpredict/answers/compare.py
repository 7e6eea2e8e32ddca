"""Answer against gold, form by form. What stays open is for the symbolic stage."""

import re
from collections.abc import Sequence
from fractions import Fraction

from quagpredict.answers.expression import Literal, Operation, Symbol
from quagpredict.answers.forms import (
    Based,
    Choice,
    Form,
    Items,
    Matrix,
    Other,
    Relation,
    Union,
    Value,
    Words,
    of_relation,
    unknown_of,
)
from quagpredict.answers.normalise import canonical
from quagpredict.answers.numeric import exact
from quagpredict.answers.policy import GradingPolicy
from quagpredict.answers.reading import read_form
from quagpredict.answers.values import equal_values, proportional

_TUPLES = ("()", "<>")
# An order or a label, as ABC: no product, of which the order would not matter. Two letters are a side.
_ORDER = re.compile(r"[A-Z]{3,}")
_FUNCTION = re.compile(r"[A-Za-z]\([A-Za-z]\)")


def equal(answer: str, gold: str, policy: GradingPolicy) -> bool | None:
    r"""Say whether an answer equals the gold: True, False, or None if that cannot be told without a symbolic engine.

    The same text is equal. Else both are read (`quagpredict.answers.reading`) and compared as what they are: values
    with their units and percent signs, lists, tuples, sets, intervals and inequalities, equations, matrices, option
    letters, words. A policy says what is allowed to be missing.

    Parameters
    ----------
    answer, gold : str
        As written; LaTeX, plain text or Unicode.

    Returns
    -------
    bool or None

    Examples
    --------
    >>> policy = GradingPolicy()
    >>> equal("0.5", "\\frac12", policy), equal("2, -1", "-1, 2", policy), equal("(1, 2)", "(2, 1)", policy)
    (True, True, False)
    >>> equal("2x", "x+x", policy), equal(r"\int_0^1 f", r"\int_0^1 g", policy) is None
    (True, True)
    """
    a, g = canonical(answer), canonical(gold)
    if a == g and a:
        return True
    if _ORDER.fullmatch(a) and _ORDER.fullmatch(g):
        return False
    left, right = read_form(answer), read_form(gold)
    if isinstance(right, Items) and right.brackets in ("", "{}") and isinstance(left, Value) and "," in a:
        left = read_form(answer, thousands=False)  # 120,450 for a list of two
    return same(left, right, policy)


def same(a: Form, g: Form, policy: GradingPolicy, depth: int = 0) -> bool | None:
    """Compare two forms; `depth` counts the lists that they stand in."""
    if a == g:
        return True
    if isinstance(a, Choice) or isinstance(g, Choice):
        return _same_choice(a, g, policy, depth)
    if isinstance(a, Relation) or isinstance(g, Relation):
        return _same_relation(a, g, policy, depth)
    if isinstance(a, Union) or isinstance(g, Union):
        parts = [form.parts if isinstance(form, Union) else (form,) for form in (a, g)]
        return _unordered(parts[0], parts[1], policy, depth)
    if isinstance(a, Items) or isinstance(g, Items):
        return _same_items(a, g, policy, depth)
    if isinstance(a, Matrix) or isinstance(g, Matrix):
        return _same_matrix(a, g, policy, depth)
    if isinstance(a, Based) or isinstance(g, Based):
        return _same_based(a, g)
    if isinstance(a, Words) or isinstance(g, Words):
        return False if isinstance(a, Words | Value) and isinstance(g, Words | Value) else None
    if isinstance(a, Value) and isinstance(g, Value):
        return _same_value(a, g, policy)
    return None


def _same_choice(a: Form, g: Form, policy: GradingPolicy, depth: int) -> bool | None:
    """Compare options: a letter with its value is right for either; two letters must agree, and two values."""
    if isinstance(a, Choice) and isinstance(g, Choice):
        if a.letter != g.letter:
            return False
        return True if a.value is None or g.value is None else same(a.value, g.value, policy, depth)
    if isinstance(a, Choice):
        return False if a.value is None else same(a.value, g, policy, depth)
    return same(a, g.value, policy, depth) if isinstance(g, Choice) and g.value is not None else False


def _same_relation(a: Form, g: Form, policy: GradingPolicy, depth: int) -> bool | None:
    if isinstance(a, Relation) and isinstance(g, Relation):
        return _same_relations(a, g, policy, depth)
    relation, other = (a, g) if isinstance(a, Relation) else (g, a)
    if not isinstance(relation, Relation):
        return None
    solved = _solved(relation, policy)
    if solved is None and isinstance(other, Items | Union):
        solved = of_relation(relation)
    if solved is None:
        return False if isinstance(other, Value | Items | Choice | Based | Words | Matrix) else None
    return same(solved, g, policy, depth) if relation is a else same(a, solved, policy, depth)


def _solved(relation: Relation, policy: GradingPolicy) -> Form | None:
    """Return what a single unknown is said to be: 5 of x = 5, of 5 = x and of x = 2 + 3 = 5; None for anything else."""
    sides, names = relation.sides, relation.names
    if set(relation.signs) <= {"=", "in", "approx"} and len(sides) == 2 and (names[0] or names[1]):
        return sides[1] if names[0] else sides[0] if relation.signs != ("in",) else None
    if set(relation.signs) == {"="} and names[0]:
        return sides[-1] if all(same(side, sides[-1], policy, 1) for side in sides[1:-1]) else None
    return None


def _same_relations(a: Relation, g: Relation, policy: GradingPolicy, depth: int) -> bool | None:
    solved = _solved(a, policy), _solved(g, policy)
    if solved[0] is not None and solved[1] is not None and _same_unknown(a, g):
        return same(solved[0], solved[1], policy, depth)
    regions = of_relation(a), of_relation(g)
    if regions[0] is not None and regions[1] is not None:
        return unknown_of(a) == unknown_of(g) and same(regions[0], regions[1], policy, depth)
    if a.signs == g.signs:
        pairs = list(zip(a.sides, g.sides, strict=True))
        if all(same(x, y, policy, depth + 1) for x, y in pairs):
            return True
    if a.signs == g.signs == ("=",):
        nodes = [side.node for side in (*a.sides, *g.sides) if isinstance(side, Value) and not side.unit]
        return proportional(*nodes) if len(nodes) == 4 else None
    return None if set(a.signs) == set(g.signs) else False


def _same_unknown(a: Relation, g: Relation) -> bool:
    """Say whether two equations are solved for the same; y and f(x) are."""
    first, second = (relation.names[0] or relation.names[-1] for relation in (a, g))
    if first == second:
        return True
    return any(y == "y" and _FUNCTION.fullmatch(f) for y, f in ((first, second), (second, first)))


def _same_based(a: Form, g: Form) -> bool | None:
    """Compare numbers with their base below, 12_8: by value; the gold's base may be missing."""
    if isinstance(g, Based) and isinstance(a, Value):
        written = a.node.value if isinstance(a.node, Literal) else None
        return written is not None and not a.unit and g.digits.isdigit() and written == int(g.digits)
    values = [_based_value(form) for form in (a, g)]
    if None in values:  # a digit or a base that does not exist, or what is no number
        return None if isinstance(a, Other) or isinstance(g, Other) else False
    return values[0] == values[1]


def _based_value(form: Form) -> Fraction | None:
    if isinstance(form, Value):
        return exact(form.node)
    try:
        return Fraction(int(form.digits, form.base)) if isinstance(form, Based) else None
    except ValueError:  # a digit or a base that does not exist
        return None


def _same_value(a: Value, g: Value, policy: GradingPolicy) -> bool | None:
    if a.unit != g.unit:
        if a.unit and g.unit:
            return False
        unit, bare = (a, g) if a.unit else (g, a)
        if _is_product(unit, bare):
            return True  # 5 \text{ m} for 5m
        if policy.units == "strict":
            return False
    if a.percent == g.percent:
        return equal_values(a.node, g.node, policy.relative_tolerance)
    hundred = Literal(Fraction(100))
    hundredths = [Operation("div", (form.node, hundred)) if form.percent else form.node for form in (a, g)]
    verdicts: list[bool | None] = []
    if policy.percent in ("either", "value"):
        verdicts.append(equal_values(hundredths[0], hundredths[1], policy.relative_tolerance))
    if policy.percent in ("either", "number"):
        verdicts.append(equal_values(a.node, g.node, policy.relative_tolerance))
    return True if True in verdicts else None if None in verdicts else False


def _is_product(measured: Value, bare: Value) -> bool:
    """Say whether a bare expression is a value times the letters that are another's unit."""
    if any(len(name) > 1 for name, _ in measured.unit):
        return False
    letters = [Operation("pow", (Symbol(name), Literal(Fraction(power)))) for name, power in measured.unit]
    return bool(equal_values(Operation("mul", (measured.node, *letters)), bare.node, 0.0))


def _same_items(a: Form, g: Form, policy: GradingPolicy, depth: int) -> bool | None:
    if isinstance(a, Matrix) or isinstance(g, Matrix):
        matrix, other = (a, g) if isinstance(a, Matrix) else (g, a)
        column = tuple(row[0] for row in matrix.rows) if isinstance(matrix, Matrix) else ()
        if not (isinstance(matrix, Matrix) and isinstance(other, Items)) or policy.brackets == "strict":
            return False
        if matrix.kind != "matrix" or other.brackets not in _TUPLES or any(len(row) != 1 for row in matrix.rows):
            return False
        return (
            _ordered(column, other.items, policy, depth)
            if a is matrix
            else _ordered(other.items, column, policy, depth)
        )
    if not (isinstance(a, Items) and isinstance(g, Items)):
        listed, other = (a, g) if isinstance(a, Items) else (g, a)
        if isinstance(other, Other | Words) or not isinstance(listed, Items):
            return None if isinstance(other, Other) and not other.prose else False
        if depth or listed.brackets != "{}" or len(listed.items) != 1 or policy.brackets == "strict":
            return False  # {5} is 5, but {97, {7919}} is not {97, 7919}
        return same(listed.items[0], other, policy, 1) if listed is a else same(other, listed.items[0], policy, 1)
    kinds = {a.brackets, g.brackets}
    if kinds == {"()", "<>"}:
        kinds = {"()"}
    if len(kinds) > 1 and kinds not in ({"", "{}"}, {"", "()"}, {"", "<>"}):
        return False
    if ("()" in kinds or "<>" in kinds) and "" in kinds and policy.brackets == "strict":
        return False
    free = "{}" in kinds or (kinds == {""} and policy.lists == "unordered" and not _named(a, g))
    return (_unordered if free else _ordered)(a.items, g.items, policy, depth)


def _named(a: Items, g: Items) -> bool:
    """Say whether one list says which of several unknowns its items are, and the other does not: x = 1, y = 2."""
    named = [[item for item in form.items if isinstance(item, Relation)] for form in (a, g)]
    if bool(named[0]) == bool(named[1]):
        return False
    names = [unknown_of(item).partition("_")[0] for item in named[0] or named[1]]
    return len(names) > 1 and len(set(names)) > 1


def _ordered(a: Sequence[Form], g: Sequence[Form], policy: GradingPolicy, depth: int) -> bool | None:
    if len(a) != len(g):
        return False
    verdicts = [same(x, y, policy, depth + 1) for x, y in zip(a, g, strict=True)]
    return True if all(verdicts) else False if False in verdicts else None


def _unordered(a: Sequence[Form], g: Sequence[Form], policy: GradingPolicy, depth: int) -> bool | None:
    if len(a) != len(g):
        return False
    a, g = _shared_name(a), _shared_name(g)
    free = set(range(len(a)))
    for wanted in g:
        row = {at: same(a[at], wanted, policy, depth + 1) for at in sorted(free)}
        match = next((at for at, holds in row.items() if holds), None)
        if match is None:
            return None if None in row.values() else False
        free.remove(match)
    return True


def _shared_name(items: Sequence[Form]) -> Sequence[Form]:
    """Let x = 1, 2 be x = 1, x = 2: drop the name that only the first item has."""
    first = items[0] if items else None
    alone = len(items) > 1 and not any(isinstance(item, Relation) for item in items[1:])
    if alone and isinstance(first, Relation) and first.signs == ("=",) and first.names[0]:
        return (first.sides[1], *items[1:])
    return items


def _same_matrix(a: Form, g: Form, policy: GradingPolicy, depth: int) -> bool | None:
    if not (isinstance(a, Matrix) and isinstance(g, Matrix)):
        return None if isinstance(a, Other) or isinstance(g, Other) else False
    if a.kind != g.kind or [len(row) for row in a.rows] != [len(row) for row in g.rows]:
        return False
    cells = [[cell for row in matrix.rows for cell in row] for matrix in (a, g)]
    return _ordered(cells[0], cells[1], policy, depth)
