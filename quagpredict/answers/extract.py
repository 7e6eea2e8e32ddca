"""Text of a response to its final answer. Every step is linear in the length of the text."""

import re
from typing import NamedTuple

from quagpredict.answers.policy import GradingPolicy
from quagpredict.answers.statements import last_statement
from quagpredict.answers.vocabulary import UNIT_LETTERS

_BOX = re.compile(r"\\f?boxed|\\fbox")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_BARE_BOX = re.compile(r"\s{0,5}([^\s{}$]{1,200})")
_BOXES_TRIED = 8
_TAIL = 20_000  # a final answer is stated at the end; the thoughts before it are not searched
# A sign that belongs to the box behind it: not the dash of a list, not the minus of a difference.
_SIGN = re.compile(
    r"(?:(?<![0-9A-Za-z)}\]\s])|(?<=\s)|^)(-|−|\\pm\s{0,3})$|=\s{0,3}(-|−)\s{1,3}$|\b(minus|negative)\s{1,3}$"
)
_BEHIND = re.compile(r"\s{0,2}(?:\\?%|\\pi(?![A-Za-z])|\^\s{0,2}(?:\{[^{}]{1,20}\}|\\circ|[0-9A-Za-z]))")
# A formula that the box is part of: from its beginning or its last sign of equality, to its end.
_FORMULA = re.compile(r"(?:\$|\\\(|\\\[|=|&)([^$=&\n]{0,60})$")
_LAYOUT = re.compile(r"\\[,;:! ]|\s|[{}]|\\(?:displaystyle|quad|qquad|therefore|Rightarrow|implies)(?![A-Za-z])")
_ARITHMETIC = re.compile(
    r"(?:[-+*/^()0-9.]|(?<![A-Za-z])[A-Za-z](?![A-Za-z])|\\(?:sqrt|[dt]?frac|pi|cdot|times|pm|mp)(?![A-Za-z]))*"
)
_REST = re.compile(r"[^$\n,;.]{0,60}?(?=\$|\\\)|\\\]|\n|[,;.]|$)")
# How a formula goes on behind a box that it begins with: 3x, 3/4, 3 \cdot 10^5. A unit is commentary.
_GOES_ON = re.compile(
    rf"(?![{''.join(sorted(UNIT_LETTERS))}])[A-Za-z]|\s{{0,2}}(?:[-+*/]|\\(?:cdot|times|sqrt|[dt]?frac|pi)(?![A-Za-z]))"
)
# What may stand between the boxes of one answer.
_BETWEEN = re.compile(
    r"[\s$]{0,5}(?:(?:,|;|\\text\s{0,2}\{\s{0,2}(?:and|or)\s{0,2}\}|\band\b|\bor\b|&){1,2}[\s$]{0,5}"
    r"(?:and|or|maybe|possibly|perhaps|alternatively|also)?[\s$]{0,5}|[ $]{0,5})"
    r"(?:\\(?:quad|qquad|[,; ])[\s$]{0,5})?(?:[A-Za-z](?:_\{?[0-9A-Za-z]\}?)?\s{0,2}=\s{0,2}[\s$]{0,5})?(?:-|−|\\pm)?",
    re.IGNORECASE,
)


class _Box(NamedTuple):
    content: str
    begin: int
    end: int


def extract(response: str, policy: GradingPolicy) -> str | None:
    r"""Return the final answer of a response as it is written there, None if there is none.

    A response that ends inside its thought has none.

    Parameters
    ----------
    response : str
        The completion, without the prompt.
    policy : GradingPolicy
        Its `extraction`, `digits`, thought marks and answer marks.

    Returns
    -------
    str or None
        Never empty.

    Examples
    --------
    >>> extract("<think>\\boxed{1}?</think> So \\boxed{\\frac{1}{2}}.", GradingPolicy())
    '\\frac{1}{2}'
    >>> extract("<think>it is \\boxed{1}", GradingPolicy()) is None
    True
    >>> extract("a-8658b*3479", GradingPolicy(extraction="last_digits", digits=3))
    '479'
    """
    if policy.extraction == "last_digits":
        return _last_digits(response, policy.digits)
    start, end = policy.thought_start, policy.thought_end
    if end and (at := response.rfind(end)) >= 0:
        response = response[at + len(end) :]
        if start and start in response:
            return None
    elif start and start in response:
        return None
    marked = None if policy.extraction == "boxed" else _marked(response, policy)
    answer = None
    if policy.extraction in ("auto", "boxed"):
        answer = last_box(response if marked is None else marked)
    if answer is None and policy.extraction in ("auto", "stated"):
        answer = last_statement((response if marked is None else marked)[-_TAIL:])
        if answer is not None and (boxed := last_box(answer)) is not None:
            answer = boxed
        if answer is None and marked is not None:
            answer = marked.strip() or None
    return answer


def _marked(response: str, policy: GradingPolicy) -> str | None:
    """Return what stands between the last complete pair of answer marks."""
    start, end = policy.answer_start, policy.answer_end
    if not (start and end) or (stop := response.rfind(end)) < 0:
        return None
    begin = response.rfind(start, 0, stop)
    return response[begin + len(start) : stop] if begin >= 0 else None


def last_box(text: str) -> str | None:
    r"""Return the content of the last complete, non-empty ``\boxed{}`` (or ``\fbox{}``, or ``\boxed 5``), else None.

    A sign in front of the box and a percent sign, power or pi behind it belong to the answer. Boxes with nothing but
    commas, "and" or "or" between them are one answer, a list. A box whose braces do not close is passed over; after
    eight such boxes there is no answer.

    Examples
    --------
    >>> last_box(r"\boxed{1}, no: \boxed{\{2, 3\}} or \boxed{4")
    '\\{2, 3\\}'
    >>> last_box(r"$x = -\boxed{5}$"), last_box(r"\boxed{3} and \boxed{4}")
    ('-5', '3, 4')
    """
    first_box = _box_before(text, len(text))
    if first_box is None:
        return None
    parts = [_with_surroundings(text, first_box)]
    while len(parts) <= _BOXES_TRIED:
        before = _box_before(text, first_box.begin)
        if before is not None and before.end > first_box.end:  # a box in a box: the outer one says more
            parts[0], first_box = _with_surroundings(text, before), before
            continue
        if before is None or not _BETWEEN.fullmatch(text[before.end : first_box.begin][:80]):
            break
        if not 0 <= first_box.begin - before.end <= 80:
            break
        parts.insert(0, _with_surroundings(text, before))
        first_box = before
    return ", ".join(dict.fromkeys(parts))


def _box_before(text: str, stop: int) -> _Box | None:
    """Return the last complete box that begins before `stop`."""
    for _ in range(_BOXES_TRIED):
        at = max(text.rfind("\\boxed", 0, stop), text.rfind("\\fbox", 0, stop))
        if at < 0:
            return None
        name = _BOX.match(text, at)
        content = _box_content(text, name.end()) if name else None
        if content is not None and content[0].strip():
            return _Box(content[0].strip(), at, content[1])
        stop = at
    return None


def _with_surroundings(text: str, box: _Box) -> str:
    """Return the content of a box with what the formula around it makes of it: a sign, a factor, a root."""
    content = box.content
    if behind := _BEHIND.match(text, box.end):
        content += behind.group().strip()
    before = text[max(0, box.begin - 70) : box.begin]
    formula = _FORMULA.search(before)
    front = _LAYOUT.sub("", formula.group(1)) if formula else ""
    behind = _REST.match(text, box.end)
    rest = behind.group() if behind else ""
    goes_on = front == "" and _GOES_ON.match(rest) and _ARITHMETIC.fullmatch(_LAYOUT.sub("", rest))
    if formula and (front not in ("", "-", "−") or goes_on):
        whole = f"{formula.group(1)}{{{box.content}}}{rest}".strip()
        closed = len(re.findall(r"(?<!\\)\{", whole)) == len(re.findall(r"(?<!\\)\}", whole))
        return whole if closed and _ARITHMETIC.fullmatch(front) and not re.search("=|box", whole) else content
    sign = _SIGN.search(before)
    if formula and front in ("-", "−"):
        mark = "-"
    elif sign and not (before.rpartition("\n")[2].strip() == "-" and before[-1:].isspace()):
        mark = next(group for group in sign.groups() if group).strip().replace("−", "-")
        mark = "-" if mark in ("minus", "negative") else mark
    else:
        return content
    return f"{mark}({content})" if re.search(r".[-+]", content) else f"{mark}{content}"


def _box_content(text: str, at: int) -> tuple[str, int] | None:
    opening = re.compile(r"\s*").match(text, at)
    begin = opening.end() if opening else at
    if not text.startswith("{", begin):
        bare = _BARE_BOX.match(text, at)
        return (bare.group(1).rstrip(".,;"), bare.end()) if bare else None
    depth = 0
    for brace in _BRACE.finditer(text, begin):
        if brace.group() == "{":
            depth += 1
        elif brace.group() == "}":
            depth -= 1
            if depth == 0:
                return text[begin + 1 : brace.start()], brace.end()
    return None


def _last_digits(response: str, digits: int | None) -> str | None:
    end = len(response)
    begin = end
    limit = 0 if digits is None else max(0, end - digits)
    while begin > limit and "0" <= response[begin - 1] <= "9":
        begin -= 1
    if begin == end or (digits is not None and end - begin < digits):
        return None
    return response[begin:]
