r"""One spelling for one answer: Unicode as LaTeX, and LaTeX without dress and layout. Nothing is evaluated."""

import re
import unicodedata

_SYMBOLS = {
    "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "×": "\\times ", "·": "\\cdot ", "⋅": "\\cdot ", "∙": "\\cdot ",
    "÷": "/", "⁄": "/", "∕": "/", "√": "\\sqrt ", "∛": "\\sqrt[3] ", "∜": "\\sqrt[4] ", "∞": "\\infty ",
    "°": "^\\circ ", "≤": "\\le ", "≥": "\\ge ", "⩽": "\\le ", "⩾": "\\ge ", "≠": "\\ne ", "≈": "\\approx ",
    "≡": "\\equiv ", "∪": "\\cup ", "∩": "\\cap ", "∈": "\\in ", "±": "\\pm ", "∓": "\\mp ", "∅": "\\emptyset ",
    "∗": "*", "→": "\\to ", "∠": "\\angle ", "△": "\\triangle ", "ℝ": "\\mathbb{R}", "ℤ": "\\mathbb{Z}",
    "ℕ": "\\mathbb{N}", "ℚ": "\\mathbb{Q}", "ℂ": "\\mathbb{C}", "⌊": "\\lfloor ", "⌋": "\\rfloor ", "⌈": "\\lceil ",
    "⌉": "\\rceil ", "⟨": "\\langle ", "⟩": "\\rangle ", "∣": "|", "′": "'", "“": '"', "”": '"', "‘": "'", "’": "'",
    "€": "\\euro ", "£": "\\pounds ", "…": "\\ldots ", "、": ",", "。": ".", "µ": "\\mu ",
}  # fmt: skip
_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+", strict=True))
_SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True))
_ASCII = re.compile(r"[\n\t\x20-\x7e]*")
_ROOT = re.compile(r"([√∛∜])\s{0,3}([0-9]+(?:\.[0-9]+)?|[A-Za-z])")
_DEGREES = {"√": "", "∛": "[3]", "∜": "[4]"}


def plain(text: str) -> str:
    r"""Return the text with Unicode digits and symbols as ASCII or LaTeX, and without control characters.

    Examples
    --------
    >>> plain("−½ × ３√٤\x00 m²"), plain("2√10"), plain("𝑥 ≤ 5㎝")
    ('-\\frac{1}{2} \\times  3\\sqrt{4} m^{2}', '2\\sqrt{10}', 'x \\le  5cm')
    """
    if _ASCII.fullmatch(text):
        return text
    text = "".join(str(unicodedata.decimal(mark, mark)) for mark in text)
    text = _ROOT.sub(lambda match: f"\\sqrt{_DEGREES[match.group(1)]}{{{match.group(2)}}}", text)
    return "".join(map(_plain_character, text)).replace("}^{", "").replace("}_{", "")


def _plain_character(character: str) -> str:
    if " " <= character <= "~" or character in "\n\t":
        return character
    for table, form in ((_SYMBOLS, "{}"), (_SUPERSCRIPTS, "^{{{}}}"), (_SUBSCRIPTS, "_{{{}}}")):
        if (spelling := table.get(character)) is not None:
            return form.format(spelling)
    category = unicodedata.category(character)
    if category.startswith("Z"):
        return " "
    if category.startswith("C"):
        return ""
    if (greek := _greek(character)) is not None:
        return greek
    if unicodedata.decomposition(character).startswith("<fraction>"):
        over, _, under = unicodedata.normalize("NFKC", character).partition("⁄")
        return f"\\frac{{{over}}}{{{under}}}" if under else character
    compatible = unicodedata.normalize("NFKC", character)
    return compatible if compatible.isascii() and compatible.isprintable() else _greek(compatible) or character


def _greek(character: str) -> str | None:
    """Return the LaTeX command of a Greek letter, None for anything else."""
    match = re.fullmatch(r"GREEK (SMALL|CAPITAL) LETTER ([A-Z]+)", unicodedata.name(character[:1], ""))
    if match is None or len(character) != 1:
        return None
    name = {"LAMDA": "LAMBDA", "OMICRON": "O"}.get(match.group(2), match.group(2)).lower()
    return f"\\{name if match.group(1) == 'SMALL' else name.capitalize()} "


_LAYOUT = re.compile(
    r"\\(?:left|right|[bB]igg?[lrm]?|displaystyle|textstyle|scriptstyle|limits|hfill|nonumber|hline|rm|bf|it|tiny|small"
    r"|normalsize|large|Large|LARGE|huge|Huge)(?![A-Za-z])|\\(?:phantom|label|tag|color|textcolor)\s*\{[^{}]*\}"
)
_SPACE = re.compile(
    r"(?<!\\)\\(?:[,;:>!]|quad(?![A-Za-z])|qquad(?![A-Za-z])|\s|enspace(?![A-Za-z])|hspace\*?\{[^{}]*\})|~"
)
_TEXT = re.compile(r"\\(?:text|textrm|textnormal|textsf|texttt|mbox|mathrm|mathsf|operatorname\*?)\s*\{([^{}]*)\}")
# Commands that change how their argument looks, not what it says.
_DRESS = {
    "bm", "boldsymbol", "mathbf", "mathit", "pmb", "underline", "ensuremath", "textbf", "textit", "emph", "textup",
    "colorbox", "mathstrut", "boxed", "fbox", "uline", "textsc", "mathnormal", "bold",
}  # fmt: skip
_PIECE = re.compile(r"\\[A-Za-z]+\*?|\\.|[{}]|[^\\{}]+|\\", re.DOTALL)
_SAME = {
    "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "leq": "le", "leqslant": "le", "geq": "ge", "geqslant": "ge",
    "neq": "ne", "to": "rightarrow", "degree": "circ", "lbrace": "{", "rbrace": "}", "lbrack": "[", "rbrack": "]",
    "lt": "<", "gt": ">", "infin": "infty", "varnothing": "emptyset", "colon": ":", "dbinom": "binom",
    "tbinom": "binom", "lvert": "|", "rvert": "|", "vert": "|", "mid": "|", "Vert": "\\|", "lVert": "\\|",
    "rVert": "\\|", "gets": "leftarrow", "land": "wedge", "lor": "vee", "cdotp": "cdot", "prime": "'",
}  # fmt: skip
_COMMAND = re.compile(r"\\([A-Za-z]+)")
_SHORT_FRAC = re.compile(r"\\[dtc]?frac\s*(?:\{([^{}]*)\}|([0-9A-Za-z]))\s*(?:\{([^{}]*)\}|([0-9A-Za-z]))")
_SHORT_SQRT = re.compile(r"\\sqrt\s*([0-9]+|[A-Za-z])")
_SHORT_SCRIPT = re.compile(r"([_^])\s*\{\s*([0-9A-Za-z])\s*\}")
_MIXED = re.compile(r"(?<![0-9.,/])([0-9]{1,20})\s+([0-9]{1,20})\s*/\s*([0-9]{1,20})(?![0-9.,/])")
_SPACED_THOUSANDS = re.compile(r"(?<![0-9.,])[0-9]{1,3}(?:(?: |\\[,!]|,\\!|\{,\})[0-9]{3})+(?![0-9])")
_LIBRARY = re.compile(r"(?<![A-Za-z])(?:np|math|sympy)\.(?=[a-z]+\b)")
_LABEL = re.compile(r"(?:the\s)?(?:final\s)?(?:solution|answer|result)s?\s*(?:is|are)?\s*:\s*", re.IGNORECASE)
_FINAL = re.compile(r"(?<![\\.,;:])[.,;:]+$")
_GOES_ON = re.compile(r"(?:,\s*|[0-9]*\.[0-9]*([0-9])\1{2,})\.{3}$")  # 1, 2, ... and 0.333...: the dots say something
_WRAPPERS = (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("**", "**"), ("`", "`"), ('"', '"'))


def undressed(text: str) -> str:
    r"""Return plain text without colours, sizes, brackets' sizes, emphasis and boxes; spaces of LaTeX become spaces.

    Examples
    --------
    >>> undressed(r"\textcolor{red}{\bm{x}}\,=\left(1\right)"), undressed(r"\underline{\frac{1}{2}}")
    ('{x} =(1)', '\\frac{1}{2}')
    """
    text = unwrapped(_LIBRARY.sub("", plain(text)))
    if label := _LABEL.match(text):
        text = unwrapped(text[label.end() :])
    text = _SPACED_THOUSANDS.sub(lambda match: re.sub(r"[^0-9]", "", match.group()), text)
    text = _SPACE.sub(" ", _LAYOUT.sub("", text).replace("\\!", ""))
    kept: list[str] = []
    braces: list[bool] = []  # whether each open brace stays
    dropped = False  # the next brace belongs to a command that was dropped
    for match in _PIECE.finditer(text):
        piece = match.group()
        if piece[:1] == "\\" and piece[1:] in _DRESS:
            dropped = not (kept and kept[-1].rstrip()[-1:] in ("^", "_"))  # x^{12} needs its braces
            continue
        if piece == "{":
            braces.append(not dropped)
            kept += [] if dropped else [piece]
        elif piece == "}":
            kept += [piece] if not braces or braces.pop() else []
        elif not (dropped and piece.isspace()):
            kept.append(piece)
        else:
            continue
        dropped = False
    return _written_out(unwrapped("".join(kept)))


def _written_out(text: str) -> str:
    """Give the arguments of fractions and roots their braces."""
    text = _SHORT_FRAC.sub(
        lambda f: f"\\frac{{{f.group(1) or f.group(2) or ''}}}{{{f.group(3) or f.group(4) or ''}}}", text
    )
    return _SHORT_SQRT.sub(r"\\sqrt{\1}", text)


def canonical(text: str) -> str:
    r"""Return one spelling of an answer: layout, spaces, dollars and text commands gone, short forms written out.

    A space between digits stays, and one behind a comma between digits: ``120, 450`` is a list, ``120,450`` a number.

    Examples
    --------
    >>> canonical("$\\left(\\dfrac12,\\; \\text{even}\\right)$."), canonical("3 1/2"), canonical("x^{2} \\leq 1{,}000")
    ('(\\frac{1}{2},even)', '3\\frac{1}{2}', 'x^2\\le1000')
    """
    text = undressed(text).replace("{,}", ",").replace("\\%", "%").replace("\\$", "").replace("$", " ")
    text = _TEXT.sub(r"\1", text)
    text = _COMMAND.sub(lambda match: _spelt(match.group(1)), text)
    text = text.replace("{bmatrix}", "{pmatrix}").replace("<=", "\\le ").replace(">=", "\\ge ").replace("!=", "\\ne ")
    text = _MIXED.sub(r"\1\\frac{\2}{\3}", text)
    text = _SHORT_SCRIPT.sub(r"\1\2", text)
    # A space between digits is kept (1 2 is not 12), and one that ends a command (\ne q is not \neq).
    text = re.sub(r"(?<=[0-9])\s+(?=[0-9])|(?<=[0-9],)\s+(?=[0-9])", "\x00", text)
    text = re.sub(r"(\\[A-Za-z]+)\s+(?=[A-Za-z])", "\\1\x00", text)
    text = _without_stop(re.sub(r"\s+", "", text).replace("\x00", " "))
    return re.sub(r"(?<![0-9A-Za-z})\]])\+(?=\\infty|[0-9])", "", text)


def _without_stop(text: str) -> str:
    """Drop the marks that end a sentence, not the dots of what goes on."""
    return text if _GOES_ON.search(text) else _FINAL.sub("", text)


def _spelt(name: str) -> str:
    same = _SAME.get(name, name)
    return "\\" + same if same.isalpha() or same in "{}[]" else same


def readable_form(text: str) -> str:
    r"""Return the text as a parser of LaTeX reads it best: plain, and without what encloses the whole.

    Examples
    --------
    >>> readable_form("$\\frac{1}{2}$."), readable_form("2π")
    ('\\frac{1}{2}', '2\\pi')
    """
    return unwrapped(plain(text))


def unwrapped(text: str) -> str:
    r"""Return the text without what encloses the whole: dollars, display brackets, emphasis, quotes, a box.

    Examples
    --------
    >>> unwrapped("**$5$**."), unwrapped("$5$ and $6$")
    ('5', '$5$ and $6$')
    """
    before = None
    while before != text:
        before = text
        text = _without_stop(text.strip())
        for opening, closing in _WRAPPERS:
            inner = text[len(opening) : len(text) - len(closing)]
            if len(text) > len(opening) + len(closing) - 1 and text.startswith(opening) and text.endswith(closing):
                if closing in inner or (closing == "$" and inner.endswith("\\")):
                    continue
                text = inner
        if match := re.fullmatch(r"\\f?boxed\s*\{([^{}]*)\}", text):
            text = match.group(1)
    return text
