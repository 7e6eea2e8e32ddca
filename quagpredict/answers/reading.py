r"""An answer as it is written to its form."""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from quagpredict.answers.caps import nested_too_deep
from quagpredict.answers.expression import Literal, Operation, read_expression
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
    of_builder,
    of_relations,
)
from quagpredict.answers.normalise import canonical
from quagpredict.answers.numeric import value_at
from quagpredict.answers.tokens import Token, UnreadError, tokens_of
from quagpredict.answers.units import read_behind
from quagpredict.answers.vocabulary import CHANGING_WORDS

_RELATIONS = (
    "=", "<", ">", "<=", ">=", "!=", "in", "approx", "equiv", "sim", "to", "parallel", "perp", "subset", "notin",
    "propto",
)  # fmt: skip
_CLOSES = {"(": (")", "]"), "[": ("]", ")"), "\\{": ("\\}",), "<": (">",)}
_MATRICES = {"vmatrix": "determinant", "Vmatrix": "norm", "cases": "cases", "aligned": "aligned"}
_OPTIONS = frozenset("ABCDEFGHIJ")
_NAME = re.compile(
    r"(?:m?angle|triangle)?(?:[A-Za-z]|[A-Z]{2,4}|\\[A-Za-z]+(?:\{[A-Za-z]+\})?)(?:_(?:\{[^{}]*\}|[^{}]))?'*(?:\^\{?-1\}?)?'*"
    r"(?:\([A-Za-z0-9,\\]{0,12}\))?|\([A-Za-z](?:,[A-Za-z]){1,4}\)"
)
_REMARKS = ("of course", "indeed", "clearly", "obviously", "certainly", "right", "as required", "as desired")
_REALS = ("all real numbers", "all reals", "all real values", "the real numbers", "the set of all real numbers")
_LINE = Items("()", (Value(Operation("neg", (Operation("infty"),))), Value(Operation("infty"))))
_ALIKE = 0.05  # relative; what stands on both sides of \\approx must be as near as that
_MOST_ITEMS = 64
_MOST_TOKENS = 600


@lru_cache(maxsize=16384)
def read_form(text: str, *, thousands: bool = True) -> Form:
    r"""Read an answer, as LaTeX, plain text or Unicode.

    Parameters
    ----------
    thousands : bool
        Whether a comma without a space before three digits makes thousands; else it always separates.

    Returns
    -------
    Form
        `Other` for what is not read.

    Examples
    --------
    >>> read_form(r"\text{Yes}."), read_form(r"\textbf{(E)}"), read_form("12_8")
    (Words(text='yes'), Choice(letter='E', value=None), Based(digits='12', base=8))
    >>> len(read_form("120, 450").items), read_form("120,450").node
    (2, Literal(value=Fraction(120450, 1), decimal=False))
    """
    spelt = canonical(text)
    try:
        if nested_too_deep(text):
            raise UnreadError
        tokens = tokens_of(text, thousands=thousands)
        if len(tokens) > _MOST_TOKENS:
            raise UnreadError
        return _form(tokens) or Other(spelt, _has_prose(tokens))
    except (UnreadError, RecursionError):
        return Other(spelt, re.search(r"(?<![\\A-Za-z])[A-Za-z]{4,}", spelt) is not None)


def _has_prose(tokens: Sequence[Token]) -> bool:
    return any(token.kind == "word" for token in tokens)


def _form(tokens: Sequence[Token]) -> Form | None:
    """Read tokens; None where they are nothing that is known."""
    tokens = _without_braces(tokens)
    if not tokens:
        return None
    if (choice := _choice(tokens)) is not None:
        return choice
    if (words := _words(tokens)) is not None:
        return words
    if (listed := _listed(tokens)) is not None:
        return listed
    if (relation := _relation(tokens)) is not None:
        return relation
    return _single(tokens)


def _single(tokens: Sequence[Token]) -> Form | None:
    """Read what is no list and no relation."""
    tokens = _without_braces(tokens)
    if not tokens:
        return None
    if len(tokens) == 1 and tokens[0].text == "\\mathbb{R}":
        return _LINE
    parts = _split(tokens, ("cup",))
    if len(parts) > 1:
        regions = _each(_single, [part for part, _ in parts])
        return None if regions is None else Union(regions)
    if (enclosed := _enclosed(tokens)) is not None:
        return enclosed
    ratio = _split(tokens, (":",))
    if 1 < len(ratio) <= 6 and all(part and part[0].kind in ("number", "letter") for part, _ in ratio):
        values = _each(_value, [part for part, _ in ratio])
        return None if values is None else Items(":", values)
    if any(token.text in ("pm", "mp") and token.kind == "mark" for token in tokens):
        return _plus_and_minus(tokens)
    return _value(tokens)


def _each(read: Callable[[Sequence[Token]], Form | None], parts: Sequence[Sequence[Token]]) -> tuple[Form, ...] | None:
    """Read every part; None where one is empty, or is nothing that is known."""
    forms: list[Form] = []
    for part in parts:
        form = read(part) if part else None
        if form is None:
            return None
        forms.append(form)
    return tuple(forms)


def _split(tokens: Sequence[Token], marks: Sequence[str]) -> list[tuple[Sequence[Token], str]]:
    """Cut tokens at marks outside brackets; each part comes with the mark before it."""
    parts: list[tuple[Sequence[Token], str]] = []
    depth = begin = 0
    before = ""
    for at, token in enumerate(tokens):
        depth += _opens(token)
        if depth < 0:
            raise UnreadError
        if depth == 0 and token.kind == "mark" and token.text in marks:
            parts.append((tokens[begin:at], before))
            begin, before = at + 1, token.text
    if depth:
        raise UnreadError
    return [*parts, (tokens[begin:], before)]


def _opens(token: Token) -> int:
    """Return 1 for a token that opens a bracket, -1 for one that closes it, else 0."""
    if token.kind in ("open", "close"):
        return 1 if token.kind == "open" else -1
    if token.kind == "group":
        return 1 if token.text == "{" else -1
    return 0 if token.kind != "matrix" else 1 if token.text.startswith("begin") else -1


def _without_braces(tokens: Sequence[Token]) -> Sequence[Token]:
    while len(tokens) > 1 and tokens[0].text == "{" and _match(tokens) == len(tokens) - 1:
        tokens = tokens[1:-1]
    return tokens


def _match(tokens: Sequence[Token]) -> int:
    """Return where the bracket that the tokens begin with is closed, -1 if never."""
    depth = 0
    for at, token in enumerate(tokens):
        depth += _opens(token)
        if depth <= 0:
            return at
    return -1


def _choice(tokens: Sequence[Token]) -> Choice | None:
    """Read an option's letter, alone or with its value: C, (C), C. 36, (C) 36, option C."""
    if tokens[0].text.lower() in ("option", "choice", "answer") and len(tokens) > 1:
        tokens = tokens[1:]
    enclosed = tokens[0].text == "(" and tokens[0].kind == "open"
    at = int(enclosed)
    if at >= len(tokens) or tokens[at].text not in _OPTIONS or tokens[at].kind not in ("letter", "word"):
        return None
    letter = tokens[at].text
    at += 1
    closed = at < len(tokens) and tokens[at].text == ")"
    if enclosed and not closed:
        return None
    at += closed
    marked = at < len(tokens) and tokens[at].kind == "mark" and tokens[at].text in (".", ":")
    at += marked
    rest = tokens[at:]
    if not rest:
        return Choice(letter)
    if not (closed or marked) or not (rest[0].spaced or (closed and rest[0].kind == "number")):
        return None
    value = _form(rest)
    return None if value is None else Choice(letter, value)


def _words(tokens: Sequence[Token]) -> Words | Items | None:
    """Read text without mathematics; several words may have an article or a dash between them."""
    if not any(token.kind == "word" for token in tokens):
        return None
    if all(token.kind == "word" or token.text in ("a", "-", "'", ".") for token in tokens):
        text = " ".join(token.text.lower() for token in tokens if token.text not in ("-", "'", "."))
        return _LINE if text in _REALS else Words(text)
    return None


def _listed(tokens: Sequence[Token]) -> Form | None:
    """Read a list without brackets."""
    parts = [(part, mark) for part, mark in _split(tokens, (",", ";", "and", "or")) if part]
    while len(parts) > 1 and parts[-1][1] != "or" and _is_remark(parts[-1][0], alone=_is_remark(parts[0][0])):
        parts.pop()
    if len(parts) == 1:
        return None if len(parts[0][0]) == len(tokens) else _form(parts[0][0])
    if not 1 < len(parts) <= _MOST_ITEMS:
        return None
    items = _each(_form, [part for part, _ in parts])
    if items is None:
        return None
    region = of_relations(items, [mark for _, mark in parts[1:]])
    return region or Items("", _flat(items))


def _is_remark(tokens: Sequence[Token], alone: bool = False) -> bool:
    """Say whether tokens are words that say nothing about the answer: as required. Behind words (`alone`) few are."""
    words = [token for token in tokens if token.kind != "mark" or token.text not in ("?", "!", ".")]
    if alone:
        return " ".join(token.text.lower() for token in words) in _REMARKS
    return all(token.kind == "word" and token.text.lower() not in CHANGING_WORDS for token in words)


def _flat(items: Sequence[Form]) -> tuple[Form, ...]:
    """Put the two values of a plus-minus among the items of the list that they stand in."""
    flat: list[Form] = []
    for item in items:
        flat += item.items if isinstance(item, Items) and item.brackets == "" else [item]
    return tuple(flat)


def _relation(tokens: Sequence[Token]) -> Form | None:
    parts = _split(tokens, _RELATIONS)
    if len(parts) > 1 and not parts[0][0] and parts[1][1] == "approx":
        parts = parts[1:]
    # Of "x = \\sqrt{2} \\approx 1.41" the exact value counts; "x \\approx 1.41" has no other.
    rounded = next((at for at, (_, mark) in enumerate(parts) if at and mark == "approx"), len(parts))
    if rounded < len(parts) and not all(_name(part) for part, _ in parts[:rounded]):
        parts = parts[:rounded] if _alike(parts[rounded - 1][0], parts[-1][0]) else parts
    if len(parts) == 1:
        return None if len(parts[0][0]) == len(tokens) else _single(parts[0][0])
    sides = [_single(part) if part else None for part, _ in parts]
    names = tuple(_name(part) for part, _ in parts)
    complete = tuple(
        side if side is not None else Other(name) for side, name in zip(sides, names, strict=True) if side or name
    )
    if len(complete) < len(sides):
        return None
    return Relation(complete, tuple(mark for _, mark in parts[1:]), names)


def _alike(exact: Sequence[Token], rounded: Sequence[Token]) -> bool:
    """Say whether a value and its rounded form are near each other, as far as both are known."""
    forms = [_single(side) if side else None for side in (exact, rounded)]
    values = [value_at(form.node, "positive", "e", 30) if isinstance(form, Value) else None for form in forms]
    if values[0] is None or values[1] is None:
        return True
    return bool(abs(values[0] - values[1]) <= _ALIKE * abs(values[0]))


def _name(tokens: Sequence[Token]) -> str:
    """Return the name of what is one unknown (x, x_1, f(x), AB, angle ABC, (x, y), Area), else an empty text."""
    if tokens and all(token.kind == "word" for token in tokens):
        return " ".join(token.text.lower() for token in tokens)
    name = "".join(token.text for token in _without_braces(tokens))
    return name if _NAME.fullmatch(name) and name not in ("i", "e") else ""


def _enclosed(tokens: Sequence[Token]) -> Form | None:
    """Read what one pair of brackets holds: a tuple, an interval, a set, a matrix, or a single thing in parentheses."""
    if [token.text for token in tokens] in (["emptyset"], ["varnothing"]):
        return Items("{}", ())
    first, last = tokens[0], tokens[-1]
    if first.kind == "matrix" and _match(tokens) == len(tokens) - 1:
        return _matrix(first.text.split()[1], tokens[1:-1])
    closing = _CLOSES.get(first.text, ()) if first.kind == "open" else ()
    if last.text not in closing or last.kind != "close" or _match(tokens) != len(tokens) - 1:
        return None
    inner = tokens[1:-1]
    if first.text == "\\{":
        return _set(inner)
    parts = _split(inner, (",", ";"))
    if len(parts) > 1:
        items = _each(_form, [part for part, _ in parts]) if len(parts) <= _MOST_ITEMS else None
        return None if items is None else Items(first.text + last.text, items)
    held = _form(inner)
    if isinstance(held, Matrix) or (first.text == "(" and last.text == ")"):
        return held
    return None


def _set(inner: Sequence[Token]) -> Form | None:
    if not inner:
        return Items("{}", ())
    builder = next((parts for mark in ("|", ":") if len(parts := _split(inner, (mark,))) == 2), None)
    if builder is not None:
        (left, _), (right, _) = builder
        condition = _form(right) if right else None
        name = _name(_split(left, ("in",))[0][0])
        return of_builder(condition, name) if condition is not None and name else None
    parts = _split(inner, (",", ";"))
    items = _each(_form, [part for part, _ in parts]) if len(parts) <= _MOST_ITEMS else None
    return None if items is None else Items("{}", _flat(items))


def _matrix(frame: str, tokens: Sequence[Token]) -> Form | None:
    if frame.startswith("align") and not any(token.text == "\\\\" for token in tokens):
        return _form([token for token in tokens if token.text != "&"])
    rows = []
    for row, _ in _split(tokens, ("\\\\",)):
        if row:
            cells = _each(_form, [cell for cell, _ in _split(row, ("&",))])
            if cells is None:
                return None
            rows.append(cells)
    return Matrix(_MATRICES.get(frame, "matrix"), tuple(rows)) if rows else None


def _plus_and_minus(tokens: Sequence[Token]) -> Form | None:
    r"""Read 1 \pm x as the list of its two values."""
    signs = ({"pm": "+", "mp": "-"}, {"pm": "-", "mp": "+"})
    values = _each(_value, [[token._replace(text=of.get(token.text, token.text)) for token in tokens] for of in signs])
    return None if values is None else Items("", values)


def _value(tokens: Sequence[Token]) -> Form | None:
    """Read an expression and the unit behind it."""
    if len(tokens) == 1 and tokens[0].kind == "based":
        digits, _, base = tokens[0].text.partition("_")
        return Based(digits, int(base))
    money = [token for token in tokens[:2] if token.kind == "mark" and token.text in ("dollar", "euro", "pound")]
    if money:
        tokens = [token for token in tokens if token is not money[0]]
    if not tokens:
        return None
    try:
        node, length = read_expression(tokens)
        behind = read_behind(tokens[length:])
    except UnreadError:
        return None
    if behind.factor != 1:
        node = (
            Literal(node.value * behind.factor)
            if isinstance(node, Literal)
            else Operation("mul", (node, Literal(behind.factor)))
        )
    unit = behind.unit or tuple((token.text, 1) for token in money)
    return Value(node, unit, behind.percent)
