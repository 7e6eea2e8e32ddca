r"""The last answer that a text states in words: "the answer is ...", a line "#### ...", a heading "Final Answer"."""

import re

_STATED = re.compile(
    r"(?P<heading>^[ \t#*_>]{0,8}(?:the\s)?(?:final\s)?answers?[ \t*_:#]{0,8}$)"
    r"|(?P<line>(?<!\#)\#{4}(?!\#)[ \t]*)"
    r"|\banswers?\b[\s*_]{0,5}(?:is|are|:|=|\uff1a)[*_: \t]{0,8}",
    re.IGNORECASE | re.MULTILINE,
)
_MATH = re.compile(
    r"\$\$(.+?)\$\$|\$((?:\\.|[^$\\])+)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]"
    r"|(\\begin\{align(?:ed)?\*?\}.+?\\end\{align(?:ed)?\*?\})|\\begin\{equation\*?\}(.+?)\\end\{equation\*?\}",
    re.DOTALL,
)
_IS = re.compile(r"(?![-+0-9])[^$\\]*?\b(?:is|are|equals)\s+", re.IGNORECASE)  # "7 is the smallest" begins with it
_END = re.compile(r"[.。!](?=\s|$|\*|_)|[,;]?\s(?:because|since|which|where|so|as)\s|\*\*|\n")
_AND = re.compile(r"\s{0,3}(?:,|;|&|,?\s{0,3}(?:and|or)\b)\s{0,3}", re.IGNORECASE)
_LEADING = re.compile(
    r"(?:(?:the|(?-i:an?)(?!\s+(?:or|and)\b)|just|simply|exactly|indeed|clearly|obviously|certainly|therefore|thus|hence"
    r"|equal to|given by|number|value|option|choice)\s+)+",
    re.IGNORECASE,
)
_TITLE = re.compile(r"(?![-+0-9$\\(\[{.])|[0-9]+[.)]\s+[A-Za-z]|[^$\\]*[A-Za-z]{3,}[^$\\]*\s[A-Za-z]{3,}")
_REPEATING = re.compile(r"\.[0-9]*([0-9])\1{2,}\.{3}$")  # 0.333...: the last dot ends no sentence
_TRIED = 8


def last_statement(text: str) -> str | None:
    r"""Return what the last "the answer is ...", "#### ..." or "Final Answer" states, else None.

    The sentence counts, not its first formula: "$3$ and $4$" are two answers. A "####" line that is followed by text is
    an answer only if it looks like one, not like a title. A display on the lines below belongs to the statement.

    Examples
    --------
    >>> last_statement("The answer is 4. Wait. The final answer is $x = 5$. I hope it is correct.")
    'x = 5'
    >>> [last_statement(text) for text in ("#### 1,234", "The answer is $3$ and $4$.", "**Final Answer**\n7")]
    ['1,234', '3, 4', '7']
    """
    marks = list(_STATED.finditer(text))
    for mark in reversed(marks[-_TRIED:]):
        if mark["line"] is not None:
            answer = _line(text, mark.end())
        else:
            answer = _sentence(text, mark.end(), titled=mark["heading"] is not None)
        if answer is not None and answer.strip(" \t*_`\"'$:"):
            return answer
    return None


def _line(text: str, at: int) -> str | None:
    """Return what stands on a #### line, None if it is the title of the text below."""
    line, _, below = text[at:].partition("\n")
    answer = line.strip(" \t*_`\"'\r")
    return None if below.strip() and _TITLE.match(answer[:200]) else answer or None


def _sentence(text: str, at: int, titled: bool) -> str | None:
    """Return what a sentence states; under a title it is a whole one, "The number of ways is 7"."""
    rest = text[at:].lstrip(" \t\r\n*_:")
    if titled and (verb := _IS.match(rest.partition("\n")[0])):
        rest = rest[verb.end() :]
    if leading := _LEADING.match(rest):
        rest = rest[leading.end() :]
    if "\\boxed" in rest.partition("\n")[0] or "\\fbox" in rest.partition("\n")[0]:
        return rest.partition("\n")[0]
    parts: list[str] = []
    begin = 0
    while match := _MATH.match(rest, begin):
        parts.append(next(group for group in match.groups() if group is not None).strip())
        begin = match.end()
        joined = _AND.match(rest, begin)
        if joined is None or _MATH.match(rest, joined.end()) is None:
            break
        begin = joined.end()
    tail = rest[begin:][: _end(rest[begin:])].strip(" \t*_`\"'")
    if not parts:
        return tail or None
    if tail and re.search(r"[0-9$\\]", tail):
        return " ".join(f"{rest[:begin]} {tail}".replace("$", " ").split())
    return ", ".join(parts) + (f" {tail}" if tail else "")


def _end(text: str) -> int:
    """Return where a sentence ends, formulas passed over."""
    formulas = [(match.start(), match.end()) for match in _MATH.finditer(text[:2000])]
    for match in _END.finditer(text):
        if not any(start < match.start() < stop for start, stop in formulas):
            return match.end() if _REPEATING.search(text, 0, match.end()) else match.start()
    return len(text)
