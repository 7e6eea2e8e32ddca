"""Text of a response to its final answer. Every step is linear in the length of the text."""

import re

from quagpredict.answers.policy import GradingPolicy

_BOX = re.compile(r"\\f?boxed|\\fbox")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_BARE_BOX = re.compile(r"\s{0,5}([^\s{}$]{1,200})")
_STATED = re.compile(r"(?:\#{4}|\banswers?\b[\s*_]{0,5}(?:is|are|:|=|\uff1a))[\s*_:]{0,8}", re.IGNORECASE)
_MATH = re.compile(r"\$\$(.+?)\$\$|\$((?:\\.|[^$\\])+)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_END = re.compile(r"[.。](?=\s|$)|[,;]?\s(?:because|since|which|where|so|as)\s|\*\*")
_BOXES_TRIED = 8
_TAIL = 20_000  # a final answer is stated at the end; the thoughts before it are not searched


def extract(response: str, policy: GradingPolicy) -> str | None:
    r"""Return the final answer of a response as it is written there, None if there is none.

    A response that ends inside its thought has none.

    Parameters
    ----------
    response : str
        The completion, without the prompt.
    policy : GradingPolicy
        Its `extraction`, `digits` and thought marks.

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
    answer = None
    if policy.extraction in ("auto", "boxed"):
        answer = last_box(response)
    if answer is None and policy.extraction in ("auto", "stated"):
        answer = last_statement(response[-_TAIL:])
    return answer


def last_box(text: str) -> str | None:
    r"""Return the content of the last complete, non-empty ``\boxed{}`` (or ``\fbox{}``, or ``\boxed 5``), else None.

    A box whose braces do not close is passed over; after eight such boxes there is no answer.

    Examples
    --------
    >>> last_box(r"\boxed{1} or \boxed{\{2, 3\}} or \boxed{4")
    '\\{2, 3\\}'
    """
    stop = len(text)
    for _ in range(_BOXES_TRIED):
        at = max(text.rfind("\\boxed", 0, stop), text.rfind("\\fbox", 0, stop))
        if at < 0:
            return None
        name = _BOX.match(text, at)
        content = _box_content(text, name.end()) if name else None
        if content is not None and content.strip():
            return content.strip()
        stop = at
    return None


def _box_content(text: str, at: int) -> str | None:
    opening = re.compile(r"\s*").match(text, at)
    begin = opening.end() if opening else at
    if not text.startswith("{", begin):
        bare = _BARE_BOX.match(text, at)
        return bare.group(1).rstrip(".,;") if bare else None
    depth = 0
    for brace in _BRACE.finditer(text, begin):
        if brace.group() == "{":
            depth += 1
        elif brace.group() == "}":
            depth -= 1
            if depth == 0:
                return text[begin + 1 : brace.start()]
    return None


def last_statement(text: str) -> str | None:
    r"""Return what the last "the answer is ..." or "#### ..." states, else None.

    Mathematics between dollars is taken whole; other text ends with its sentence.

    Examples
    --------
    >>> last_statement("The answer is 4. Wait. The final answer is $x = 5$. I hope it is correct.")
    'x = 5'
    >>> last_statement("#### 1,234")
    '1,234'
    """
    begin = max((found.end() for found in _STATED.finditer(text)), default=-1)
    if begin < 0:
        return None
    answer = text[begin:].partition("\n")[0].strip()
    if (boxed := last_box(answer)) is not None:
        return boxed
    if math := _MATH.match(answer):
        return next(group for group in math.groups() if group is not None).strip() or None
    if end := _END.search(answer):
        answer = answer[: end.start()]
    return answer.strip(" \t*_`\"'") or None


def _last_digits(response: str, digits: int | None) -> str | None:
    end = len(response)
    begin = end
    limit = 0 if digits is None else max(0, end - digits)
    while begin > limit and "0" <= response[begin - 1] <= "9":
        begin -= 1
    if begin == end or (digits is not None and end - begin < digits):
        return None
    return response[begin:]
