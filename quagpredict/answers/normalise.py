"""One spelling for one answer: Unicode to LaTeX, LaTeX without layout, numbers to fractions. Nothing is evaluated."""

import re
import unicodedata
from fractions import Fraction
from typing import NamedTuple

_MAX_DIGITS = 400
_MAX_EXPONENT = 1000

_SYMBOLS = {
    "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "×": "\\times ", "·": "\\cdot ", "⋅": "\\cdot ", "∙": "\\cdot ",
    "÷": "/", "⁄": "/", "∕": "/", "√": "\\sqrt ", "π": "\\pi ", "∞": "\\infty ", "°": "^\\circ ", "≤": "\\le ",
    "≥": "\\ge ", "≠": "\\ne ", "∪": "\\cup ", "∩": "\\cap ", "∈": "\\in ", "±": "\\pm ", "∅": "\\emptyset ",
    "θ": "\\theta ", "α": "\\alpha ", "β": "\\beta ", "λ": "\\lambda ", "μ": "\\mu ", "ω": "\\omega ", "′": "'",
    "“": '"', "”": '"', "‘": "'", "’": "'", "€": "", "£": "", "…": "\\ldots ", "、": ",", "。": ".",
}  # fmt: skip
_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+", strict=True))
_SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True))
_ASCII = re.compile(r"[\n\t\x20-\x7e]*")

_LAYOUT = re.compile(
    r"\\(?:left|right|[bB]igg?[lrm]?|displaystyle|textstyle|limits|hfill|nonumber|hline)(?![A-Za-z])"
    r"|\\(?:phantom|label|tag)\{[^{}]*\}|\\[,;:!>]"
)
_SPACE = re.compile(r"\\(?:quad|qquad|\s|enspace|hspace\{[^{}]*\})|~")
_TEXT = re.compile(
    r"\\(?:text|textrm|textbf|textit|textsf|texttt|mbox|mathrm|mathbf|mathit|mathsf|operatorname|bf)\s*\{([^{}]*)\}"
)
_SAME = {
    "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "leq": "le", "leqslant": "le", "geq": "ge", "geqslant": "ge",
    "neq": "ne", "to": "rightarrow", "degree": "circ", "lbrace": "{", "rbrace": "}", "lbrack": "[", "rbrack": "]",
    "lt": "<", "gt": ">", "infin": "infty", "varnothing": "emptyset", "bmatrix": "pmatrix", "colon": ":",
}  # fmt: skip
_COMMAND = re.compile(r"\\([A-Za-z]+)")
_SHORT_FRAC = re.compile(r"\\frac\s*(?:\{([^{}]*)\}|([0-9A-Za-z]))\s*(?:\{([^{}]*)\}|([0-9A-Za-z]))")
_SHORT_SQRT = re.compile(r"\\sqrt\s*([0-9A-Za-z])")
_SHORT_SCRIPT = re.compile(r"([_^])\s*\{\s*([0-9A-Za-z])\s*\}")
_MIXED = re.compile(r"(?<![0-9.,/])([0-9]{1,20})\s+([0-9]{1,20})\s*/\s*([0-9]{1,20})(?![0-9.,/])")
_SPACED_THOUSANDS = re.compile(r"(?<![0-9.,])[0-9]{1,3}(?: [0-9]{3})+(?![0-9])")
_WRAPPERS = (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("**", "**"), ("`", "`"), ('"', '"'))

_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?|[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_EXPONENT = r"(?:\{([+-]?[0-9]{1,4})\}|([0-9]))"
_DECIMAL = re.compile(rf"({_DIGITS})(?:[eE]([+-]?[0-9]{{1,4}}))?")
_SCIENTIFIC = re.compile(rf"({_DIGITS})(?:\\times|\\cdot|\*|x)10\^{_EXPONENT}")
_POWER = re.compile(rf"([0-9]{{1,20}})\^{_EXPONENT}")
_RATIO = re.compile(
    rf"([0-9]{{0,20}})\\frac\{{([+-]?{_DIGITS})\}}\{{([+-]?{_DIGITS})\}}|([+-]?{_DIGITS})/([+-]?{_DIGITS})"
)
_UNIT = re.compile(
    r"(?P<number>.*?[0-9}%])\s*(?:\\(?:text|textrm|textbf|mbox|mathrm)\s*\{(?P<texted>[^{}]*)\}(?P<power>\^\{?-?[0-9]\}?)?"
    r"|\s(?P<word>[A-Za-z][A-Za-z ./]{0,60})|(?P<degrees>\^\s*\{?\s*\\(?:circ|degree)\s*\}?))\s*\.?",
    re.DOTALL,
)
_UNIT_NAMES = {
    name: names[0]
    for names in (
        ("cm", "centimeter", "centimetre"), ("m", "meter", "metre"), ("km", "kilometer", "kilometre"),
        ("mm", "millimeter", "millimetre"), ("in", "inch", "inche"), ("ft", "foot", "feet"), ("mi", "mile"),
        ("s", "sec", "second"), ("min", "minute"), ("h", "hr", "hour"), ("g", "gram"), ("kg", "kilogram"),
        ("degree", "deg", "circ"), ("dollar", "usd"),
    )
    for name in names
}  # fmt: skip


class Number(NamedTuple):
    """An exact value; whether it was written as a decimal that is not whole; whether a percent sign followed."""

    value: Fraction
    decimal: bool = False
    percent: bool = False


def plain(text: str) -> str:
    r"""Return the text with Unicode digits and symbols as ASCII or LaTeX, and without control characters.

    Examples
    --------
    >>> plain("−½ × ３√٤\x00 m²")
    '-\\frac{1}{2} \\times  3\\sqrt 4 m^{2}'
    """
    if _ASCII.fullmatch(text):
        return text
    return "".join(map(_plain_character, text)).replace("}^{", "").replace("}_{", "")


def _plain_character(character: str) -> str:
    if " " <= character <= "~" or character in "\n\t":
        return character
    if (known := _SYMBOLS.get(character)) is not None:
        return known
    if (raised := _SUPERSCRIPTS.get(character)) is not None:
        return f"^{{{raised}}}"
    if (lowered := _SUBSCRIPTS.get(character)) is not None:
        return f"_{{{lowered}}}"
    if (digit := unicodedata.decimal(character, None)) is not None:
        return str(digit)
    if "\uff01" <= character <= "\uff5e":
        return chr(ord(character) - 0xFEE0)
    category = unicodedata.category(character)
    if category.startswith("Z"):
        return " "
    if category.startswith("C"):
        return ""
    if unicodedata.decomposition(character).startswith("<fraction>"):
        over, _, under = unicodedata.normalize("NFKC", character).partition("⁄")
        return f"\\frac{{{over}}}{{{under}}}" if under else character
    return character


def canonical(text: str) -> str:
    r"""Return one spelling of an answer: layout, spaces, dollars and text commands gone, short forms written out.

    Examples
    --------
    >>> canonical("$\\left(\\dfrac12,\\; \\text{even}\\right)$."), canonical("3 1/2"), canonical("x^{2} \\leq 1{,}000")
    ('(\\frac{1}{2},even)', '3\\frac{1}{2}', 'x^2\\le1,000')
    """
    text = _unwrapped(plain(text))
    text = _LAYOUT.sub("", text)
    text = _SPACE.sub(" ", text).replace("{,}", ",").replace("\\%", "%").replace("\\$", "").replace("$", "")
    text = _TEXT.sub(r"\1", text)
    text = _COMMAND.sub(lambda found: "\\" + _SAME.get(found.group(1), found.group(1)), text)
    text = text.replace("{bmatrix}", "{pmatrix}").replace("<=", "\\le ").replace(">=", "\\ge ").replace("!=", "\\ne ")
    text = _MIXED.sub(r"\1\\frac{\2}{\3}", text)
    text = _SPACED_THOUSANDS.sub(lambda found: found.group().replace(" ", ""), text)
    text = _SHORT_FRAC.sub(
        lambda f: f"\\frac{{{f.group(1) or f.group(2) or ''}}}{{{f.group(3) or f.group(4) or ''}}}", text
    )
    text = _SHORT_SQRT.sub(r"\\sqrt{\1}", text)
    text = _SHORT_SCRIPT.sub(r"\1\2", text)
    # A space between digits is kept (1 2 is not 12), and one that ends a command (\ne q is not \neq).
    text = re.sub(r"(?<=[0-9])\s+(?=[0-9])", "\x00", text)
    text = re.sub(r"(\\[A-Za-z]+)\s+(?=[A-Za-z])", "\\1\x00", text)
    text = re.sub(r"\s+", "", text).replace("\x00", " ").rstrip(".,;:")
    return re.sub(r"(?<![0-9A-Za-z})\]])\+(?=\\infty|[0-9])", "", text)


def readable_form(text: str) -> str:
    r"""Return the text as a parser of LaTeX reads it best: plain, and without what encloses the whole.

    Examples
    --------
    >>> readable_form("$\\frac{1}{2}$."), readable_form("2π")
    ('\\frac{1}{2}', '2\\pi')
    """
    return _unwrapped(plain(text))


def _unwrapped(text: str) -> str:
    """Remove what encloses the whole text: dollars, display brackets, emphasis, quotes, a box."""
    before = None
    while before != text:
        before = text
        text = text.strip().rstrip(".,;:") if text.rstrip()[-1:] in ".,;:" else text.strip()
        for opening, closing in _WRAPPERS:
            inner = text[len(opening) : len(text) - len(closing)]
            if len(text) > len(opening) + len(closing) - 1 and text.startswith(opening) and text.endswith(closing):
                if closing in inner or (closing == "$" and inner.endswith("\\")):
                    continue
                text = inner
        if found := re.fullmatch(r"\\f?boxed\s*\{([^{}]*)\}", text):
            text = found.group(1)
    return text


def number(text: str) -> Number | None:
    r"""Read a canonical text as a number, or return None: no arithmetic, only ways to write one number.

    Whole numbers with thousands commas, decimals, 1e5, a \times 10^{b}, a/b, \frac, mixed numbers, powers of whole
    numbers, a sign, a percent sign. At most 400 digits and exponents up to 1000.

    Examples
    --------
    >>> number("-1,234.50"), number("3\\frac{1}{2}").value, number("50%").percent, number("x"), number("1/0")
    (Number(value=Fraction(-2469, 2), decimal=True, percent=False), Fraction(7, 2), True, None, None)
    """
    if not text or len(text) > 2 * _MAX_DIGITS:
        return None
    percent = text.endswith("%")
    text = text.removesuffix("%")
    negative = text.startswith("-")
    text = text[1:] if text[:1] in ("-", "+") else text
    if text.startswith("{") and text.endswith("}") and "{" not in text[1:]:
        text = text[1:-1]
    try:
        found = _unsigned(text)
    except ZeroDivisionError:
        return None
    if found is None:
        return None
    value, written_as_decimal = found
    decimal = written_as_decimal and value.denominator != 1
    return Number(-value if negative else value, decimal, percent)


def _unsigned(text: str) -> tuple[Fraction, bool] | None:
    if found := _DECIMAL.fullmatch(text):
        return _scaled(found.group(1), found.group(2))
    if found := _RATIO.fullmatch(text):
        whole, *parts = found.groups()
        over, under = (part for part in parts if part is not None)
        if whole and (over[0] in "+-" or under[0] in "+-" or "." in over + under):
            return None  # 3\frac{-1}{2} is no mixed number
        ratio = _read(over) / _read(under)
        return ratio + int(whole or 0), "." in over + under
    if found := _SCIENTIFIC.fullmatch(text):
        return _scaled(found.group(1), found.group(2) or found.group(3))
    if found := _POWER.fullmatch(text):
        base, exponent = int(found.group(1)), int(found.group(2) or found.group(3))
        if abs(exponent) <= _MAX_EXPONENT and len(found.group(1)) * abs(exponent) <= 2 * _MAX_EXPONENT:
            return Fraction(base) ** exponent, False
    return None


def _scaled(mantissa: str, exponent: str | None) -> tuple[Fraction, bool] | None:
    power = int(exponent or 0)
    if abs(power) > _MAX_EXPONENT:
        return None
    return _read(mantissa) * Fraction(10) ** power, "." in mantissa or power < 0


def _read(digits: str) -> Fraction:
    return Fraction(digits.replace(",", ""))


def quantity(text: str) -> tuple[Number, str] | None:
    r"""Read an answer as a number and its unit ("" for none), or return None.

    A unit is a text command, a word after a space, or a degree sign after a number; its plural s, case and spaces do
    not matter. Currency signs are no unit.

    Examples
    --------
    >>> quantity("\\$1,000"), quantity("90^\\circ")[1], quantity("5 \\text{ cm}^2")[1], quantity("5x")
    ((Number(value=Fraction(1000, 1), decimal=False, percent=False), ''), 'degree', 'cm^2', None)
    """
    if (bare := number(canonical(text))) is not None:
        return bare, ""
    found = _UNIT.fullmatch(_unwrapped(_SPACE.sub(" ", _LAYOUT.sub("", plain(text)))))
    if found is None or (value := number(canonical(found.group("number")))) is None:
        return None
    if found.group("degrees"):
        return value, "degree"
    word = found.group("texted") if found.group("texted") is not None else found.group("word")
    unit = re.sub(r"[\s.]+", "", word).lower()
    if unit in ("percent", "%"):
        return value._replace(percent=True), ""
    power = re.sub(r"[{}]", "", found.group("power") or "")
    unit = unit.removesuffix("s") if len(unit) > 2 else unit
    return value, _UNIT_NAMES.get(unit, unit) + power
