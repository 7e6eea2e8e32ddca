r"""An answer as a row of tokens: numbers, letters, words, commands and marks, with the spaces between them.

Here it is decided what is one number (``1,000`` is, ``1, 000`` is not) and what is a word rather than a product of
letters. What the tokens mean together is for the readers.
"""

import re
from fractions import Fraction
from typing import NamedTuple

from quagpredict.answers.normalise import undressed
from quagpredict.answers.vocabulary import CONNECTIVES, CONSTANTS, FUNCTIONS, LITTLE_WORDS, UNIT_LETTERS, is_word

MAX_DIGITS = 400
_MAX_EXPONENT = 1000


class Token(NamedTuple):
    r"""One token."""

    #: number, letter (of any alphabet, also ``\alpha``), word, command (``frac``, ``sin``; no backslash), open, close,
    #: group (TeX's braces), mark (an operator, a relation, a separator), matrix (``begin`` and ``end``), other.
    kind: str
    text: str  #: In one spelling.
    spaced: bool = False  #: Whether white space stood before it.
    upright: bool = False  #: Whether it stood inside ``\text{}`` or the like: rather a word or a unit than a variable.
    value: Fraction | None = None  #: Of a number.
    decimal: bool = False  #: Whether a number was written with a point and is not whole.


class UnreadError(Exception):
    """The text is none that is read here."""


_SCANNER = re.compile(
    r"""
    (?P<space>\s+|\$)
  | (?P<upright>\\(?:text|textrm|textnormal|textsf|texttt|mbox|hbox|mathrm|mathsf|operatorname\*?|rm)\s*\{)
  | \\(?P<edge>begin|end)\s*\{(?P<frame>[a-z]*matrix|array|cases|align(?:ed)?|smallmatrix)\*?\}(?:\{[lcr|]*\})?
  | \\mathbb\s*\{?(?P<blackboard>[A-Z])\}?
  | (?P<accent>\\(?:bar|overline|vec|hat|dot|ddot|tilde|widehat|overrightarrow|mathcal|mathfrak)\s*
      \{\s*(?:[A-Za-z]{1,3}|\\[a-z]+)\s*\})
  | (?P<based>[0-9]+|\([0-9A-Za-z]{1,40}\))\s*_\s*(?:\{\s*(?P<base>[0-9]{1,2})\s*\}|(?P<digit>[0-9]))
  | (?P<repeating>[0-9]*\.[0-9]*)\s*\\(?:overline|bar|dot)\s*\{\s*(?P<period>[0-9]{1,40})\s*\}
  | (?P<going>[0-9]*\.[0-9]*?(?P<last>[0-9])(?P=last){2,})(?:\.\.\.|\\[lc]?dots(?![A-Za-z]))
  | (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4}(?![0-9.]))?)
  | \\(?P<command>[A-Za-z]+)
  | \\(?P<escaped>.)
  | (?P<letters>[A-Za-z]+)
  | (?P<mark><=|>=|!=|\*\*|\.\.\.|.)
    """,
    re.VERBOSE | re.DOTALL,
)
# Nothing but words, one of them long: "there is no solution".
_PROSE = re.compile(r"(?=.*[A-Za-z]{4})[A-Za-z][A-Za-z'-]*(?:[ ,.]+[A-Za-z][A-Za-z'-]*)+[.]?")
_WORD_FOLLOWS = re.compile(r"\s+[A-Za-z]{2}")
_GROUPS = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?(?![0-9]|,[0-9])")
_MARKS = {
    "cdot": "*", "times": "*", "ast": "*", "bullet": "*", "div": "/", "le": "<=", "leq": "<=", "leqslant": "<=",
    "ge": ">=", "geq": ">=", "geqslant": ">=", "lt": "<", "gt": ">", "ne": "!=", "neq": "!=", "pm": "pm", "mp": "mp",
    "mid": "|", "vert": "|", "lvert": "|", "rvert": "|", "Vert": "||", "lVert": "||", "rVert": "||", "cup": "cup",
    "cap": "cap", "in": "in", "notin": "notin", "setminus": "setminus", "subset": "subset", "subseteq": "subset",
    "colon": ":", "lor": "or", "vee": "or", "land": "and", "wedge": "and", "neg": "not", "circ": "circ",
    "degree": "degree", "prime": "'", "percent": "%", "equiv": "equiv", "approx": "approx", "to": "to",
    "rightarrow": "to", "leftrightarrow": "to", "Rightarrow": "to", "implies": "to", "mapsto": "to", "sim": "sim",
    "cong": "sim", "parallel": "parallel", "perp": "perp", "propto": "propto", "mod": "mod", "bmod": "mod",
    "pmod": "mod", "euro": "euro", "pounds": "pound", "ldots": "...", "dots": "...", "cdots": "...",
    "angle": "angle", "measuredangle": "angle", "triangle": "triangle",
}  # fmt: skip
_BRACKETS = {
    "lbrace": ("open", "\\{"), "rbrace": ("close", "\\}"), "lbrack": ("open", "["), "rbrack": ("close", "]"),
    "langle": ("open", "<"), "rangle": ("close", ">"), "lfloor": ("open", "floor"), "rfloor": ("close", "floor"),
    "lceil": ("open", "ceil"), "rceil": ("close", "ceil"),
}  # fmt: skip
_ESCAPED = {
    "{": ("open", "\\{"), "}": ("close", "\\}"), "%": ("mark", "%"), "\\": ("mark", "\\\\"), "|": ("mark", "||"),
    "$": ("mark", "dollar"), "&": ("mark", "and"), "_": ("mark", "_"), "#": ("mark", "#"),
}  # fmt: skip
_FRAC = {"dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "dbinom": "binom", "tbinom": "binom"}
_GREEK = re.compile(
    r"(?:var)?(?:epsilon|theta|rho|phi)|alpha|beta|gamma|delta|zeta|eta|iota|kappa|lambda|mu|nu|xi|sigma|tau|upsilon|chi"
    r"|psi|omega|Gamma|Delta|Theta|Lambda|Xi|Sigma|Upsilon|Phi|Psi|Omega|Pi|ell|hbar"
)


def tokens_of(text: str, *, thousands: bool = True) -> list[Token]:
    r"""Return the tokens of an answer as it is written.

    Parameters
    ----------
    thousands : bool
        Whether ``120,450`` is one number; else every comma separates.

    Raises
    ------
    UnreadError
        For braces that do not close and numbers of more than 400 digits.

    Examples
    --------
    >>> [token.text for token in tokens_of(r"1,000, 2")], [token.text for token in tokens_of(r"\text{3 cm}^2")]
    (['1000', ',', '2'], ['3', 'cm', '^', '2'])
    >>> [token.kind for token in tokens_of("xy cat sin")]
    ['letter', 'letter', 'word', 'command']
    """
    text = undressed(text)
    return list(_scan(text, upright=_PROSE.fullmatch(text) is not None, grouped=thousands))


def _scan(text: str, *, upright: bool, grouped: bool) -> list[Token]:
    tokens: list[Token] = []
    spaced = False
    at = 0
    brackets: list[int] = []  # where the open ones begin
    while at < len(text):
        piece = _SCANNER.match(text, at)
        if piece is None:
            raise UnreadError
        kind = piece.lastgroup
        if kind == "space":
            spaced, at = True, piece.end()
            continue
        if kind == "upright":
            end = _closing(text, piece.end())
            inner = _scan(text[piece.end() : end], upright=True, grouped=grouped)
            tokens += [inner[0]._replace(spaced=spaced or inner[0].spaced), *inner[1:]] if inner else []
            spaced, at = text[end - 1 : end].isspace(), end + 1
            continue
        thousands = _GROUPS.match(text, at) if kind == "number" and grouped else None
        if thousands and not (brackets and not _has_spaced_comma(text, brackets[-1])):
            digits = thousands.group().replace(",", "")
            new, at = [_number(digits, digits)], thousands.end()
        else:
            minutes = piece.group() == "min" and bool(tokens) and not text[piece.end() :].lstrip().startswith("(")
            little = piece.group() in LITTLE_WORDS and _WORD_FOLLOWS.match(text, piece.end()) is not None
            new, at = _tokens(piece, upright or minutes or little), piece.end()
        if new[0].kind == "open":
            brackets.append(at)
        elif new[0].kind == "close" and brackets:
            brackets.pop()
        tokens += [new[0]._replace(spaced=spaced), *new[1:]]
        spaced = False
    return tokens


def _closing(text: str, at: int) -> int:
    """Return the position of the brace that closes what is open at `at`."""
    depth = 1
    for brace in re.compile(r"\\.|[{}]", re.DOTALL).finditer(text, at):
        depth += (brace.group() == "{") - (brace.group() == "}")
        if depth == 0:
            return brace.start()
    raise UnreadError


def _has_spaced_comma(text: str, at: int) -> bool:
    """Say whether a comma with a space or a semicolon follows in the bracket; then one without makes thousands."""
    depth = 0
    for mark in re.compile(r"[(\[{]|[)\]}]|, |;").finditer(text, at):
        depth += (mark.group() in "([{") - (mark.group() in ")]}")
        if depth < 0:
            return False
        if depth == 0 and mark.group() in (", ", ";"):
            return True
    return False


def _tokens(piece: re.Match[str], upright: bool) -> list[Token]:
    kind, text = piece.lastgroup or "", piece.group()
    if kind in ("base", "digit"):
        return [Token("based", f"{piece['based'].strip('()')}_{piece['base'] or piece['digit']}")]
    if kind == "period":
        return [_repeating(piece["repeating"], piece["period"])]
    if kind in ("going", "last"):
        return [_repeating(piece["going"], piece["last"])]
    if kind == "number":
        return [_number(text, text)]
    if kind == "frame":
        return [Token("matrix", f"{piece['edge']} {piece['frame']}")]
    if kind == "blackboard":
        return [Token("letter", f"\\mathbb{{{piece['blackboard']}}}")]
    if kind == "accent":
        return [Token("letter", re.sub(r"\s", "", text).replace("\\overline", "\\bar").replace("\\widehat", "\\hat"))]
    if kind == "command":
        return [_command(piece["command"], upright)]
    if kind == "escaped":
        escaped = piece["escaped"]
        return [Token(*_ESCAPED.get(escaped, ("other", escaped)))]
    if kind == "letters":
        return _letters(text, upright)
    known_mark = {"**": "^", "{": "{", "}": "}"}.get(text, text)
    kind = "open" if text in "([" else "close" if text in ")]" else "group" if text in "{}" else "mark"
    return [Token(kind if text.isascii() else "other", known_mark)]


def _command(name: str, upright: bool) -> Token:
    name = _FRAC.get(name, name)
    if name in _MARKS:
        return Token("mark", _MARKS[name])
    if name in _BRACKETS:
        return Token(*_BRACKETS[name])
    if _GREEK.fullmatch(name):
        return Token("letter", f"\\{name}")
    return Token("command", name, upright=upright)


def _letters(text: str, upright: bool) -> list[Token]:
    """Split a run of letters: a function, a constant, a word, or letters that are multiplied."""
    if (text in FUNCTIONS or text in CONSTANTS) and not (upright and text == "min"):
        return [Token("command", "infty" if text == "infinity" else text)]
    if text.lower() in CONNECTIVES:
        return [Token("mark", text.lower())]
    if len(text) > 1 and (upright or is_word(text)):
        return [Token("word", text, upright=upright)]
    if upright and text in UNIT_LETTERS:
        return [Token("word", text, upright=True)]
    # 2sqrt(3), xsin(y): a function at the end of a run
    for name in ("sqrt", "sin", "cos", "tan", "ln", "log", "pi"):
        if text.endswith(name) and len(text) > len(name):
            return [*_letters(text[: -len(name)], upright), Token("command", name)]
    return [Token("letter", letter, upright=upright) for letter in text]


def _number(text: str, spelt: str) -> Token:
    mantissa, _, exponent = text.lower().partition("e")
    if len(text) > MAX_DIGITS or abs(int(exponent or 0)) > _MAX_EXPONENT:
        raise UnreadError
    value = Fraction(mantissa if mantissa[-1:] != "." else mantissa[:-1]) * Fraction(10) ** int(exponent or 0)
    decimal = value.denominator != 1 and ("." in mantissa or bool(exponent))
    return Token("number", spelt, value=value, decimal=decimal)


def _repeating(head: str, period: str) -> Token:
    """Return 0.1(6) as the fraction it is."""
    whole, _, decimals = head.partition(".")
    before, all_of_it = int(f"{whole}{decimals}" or 0), int(f"{whole}{decimals}{period}")
    under = 10 ** len(decimals) * (10 ** len(period) - 1)
    return Token("number", f"{head}({period})", value=Fraction(all_of_it - before, under))
