r"""Unicode to LaTeX: one character at a time, before anything is read."""

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
    text = _ROOT.sub(lambda found: f"\\sqrt{_DEGREES[found.group(1)]}{{{found.group(2)}}}", text)
    return "".join(map(_plain_character, text)).replace("}^{", "").replace("}_{", "")


def _plain_character(character: str) -> str:
    if " " <= character <= "~" or character in "\n\t":
        return character
    for table, form in ((_SYMBOLS, "{}"), (_SUPERSCRIPTS, "^{{{}}}"), (_SUBSCRIPTS, "_{{{}}}")):
        if (known := table.get(character)) is not None:
            return form.format(known)
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
    found = re.fullmatch(r"GREEK (SMALL|CAPITAL) LETTER ([A-Z]+)", unicodedata.name(character[:1], ""))
    if found is None or len(character) != 1:
        return None
    name = {"LAMDA": "LAMBDA", "OMICRON": "O"}.get(found.group(2), found.group(2)).lower()
    return f"\\{name if found.group(1) == 'SMALL' else name.capitalize()} "
