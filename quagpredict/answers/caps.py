"""Limits on what a symbolic engine is given: it never sees what could keep it busy or fill the memory."""

import re

from quagpredict.answers.normalise import plain
from quagpredict.answers.policy import GradingPolicy

_MAX_NESTING = 12  # the deepest of 9,600 golds of sixteen benchmarks is 5
_MAX_BARS = 12
_MAX_DIGITS = 400
_MAX_POWERS = 2
_BRACKET = re.compile(r"\\[\\{}]|[()\[\]{}]")
_POWER_ITEM = re.compile(r"\\[A-Za-z]+|\\.|[0-9.]+|.", re.DOTALL)
_LARGE = re.compile(r"\^\s*\{?\s*-?[0-9]{5,}|[0-9]{5,}\s*\)?\s*!|!\s*\)?\s*!")
_UNFINISHED = re.compile(r"\\(?:i{1,3}nt|oint|sum|prod|lim)(?![A-Za-z])")
# A group, a constant or a function to a power of three digits is multiplied out; a letter or a number is not.
_GROUP_POWER = re.compile(r"(?:[)}\]|]|\\[A-Za-z]+)\s*(?:\^|\*\*)\s*[{(]?\s*-?[0-9]{3,}")
# So is a factorial of a power, or in an exponent.
_POWER_FACTORIAL = re.compile(r"\^[^()!]{0,60}\)\s*!|\^\{[^}]{0,60}!|\^\([^()!]{0,60}\)\s*!")
_FUNCTION_ROW = re.compile(
    r"(?:\\(?:arc)?(?:sin|cos|tan|cot|sec|csc|sinh|cosh|tanh|log|ln|exp)(?![A-Za-z])[^A-Za-z0-9\\]{0,8}){4}"
)
# A product of as many factors as the number says.
_LONG_PRODUCT = re.compile(r"\\(?:Gamma|[dt]?binom)(?![A-Za-z])\s*[({]\s*-?[0-9]{4,}")


def beyond_caps(text: str, policy: GradingPolicy) -> str | None:
    r"""Say why a text is too big for a symbolic engine, or return None if it is not.

    Caps on length, run of digits, nesting of brackets, and on towers of powers, large exponents and factorials.

    Examples
    --------
    >>> beyond_caps("9^{9^{9^9}}", GradingPolicy()), beyond_caps("x^2", GradingPolicy())
    ('a tower of powers, a large exponent or a large factorial', None)
    """
    if len(text) > policy.max_answer_length:
        return f"{len(text)} characters, more than {policy.max_answer_length}"
    text = plain(text).replace("**", "^")
    if re.search(rf"[0-9]{{{_MAX_DIGITS + 1}}}", text):
        return f"a number of more than {_MAX_DIGITS} digits"
    if nested_too_deep(text):
        return f"brackets nested more than {_MAX_NESTING} deep"
    if power_depth(text) > _MAX_POWERS or _LARGE.search(text):
        return "a tower of powers, a large exponent or a large factorial"
    return None


def nested_too_deep(text: str) -> bool:
    """Say whether brackets stand in each other more than 12 deep, or there are more than 24 bars.

    Examples
    --------
    >>> nested_too_deep("((1))"), nested_too_deep("(" * 13 + ")" * 13)
    (False, True)
    """
    depth = deepest = 0
    for bracket in _BRACKET.finditer(text):
        mark = bracket.group()[-1]
        depth += (mark in "([{") - (mark in ")]}")
        deepest = max(deepest, depth)
    return deepest > _MAX_NESTING or text.count("|") > 2 * _MAX_BARS


def too_costly(answer: str, gold: str) -> bool:
    r"""Say whether an engine would be kept busy by an answer that is small enough.

    A power or a product of thousands of factors that has to be multiplied out, functions of functions of functions of
    functions, and an integral, sum, product or limit that is left to the reader where the gold has none: an answer is a
    result, not a task.

    Examples
    --------
    >>> too_costly("(x+y)^{666}", "x"), too_costly("x^{666}", "x"), too_costly("\\int_0^1 x dx", "1/2")
    (True, False, True)
    >>> too_costly(r"\Gamma(826867)", "x"), too_costly(r"\Gamma(5)", "24")
    (True, False)
    """
    unfinished = _UNFINISHED.search(answer) is not None and _UNFINISHED.search(gold) is None
    costly = (_GROUP_POWER, _POWER_FACTORIAL, _FUNCTION_ROW, _LONG_PRODUCT)
    return unfinished or any(pattern.search(answer) for pattern in costly)


def balanced(text: str) -> bool:
    r"""Say whether braces close in order and as often as they open; escaped braces do not count.

    Examples
    --------
    >>> balanced("\\frac{1}{2}"), balanced("{1"), balanced("\\{1")
    (True, False, True)
    """
    if (len(text) - len(text.rstrip("\\"))) % 2:
        return False  # it would escape whatever comes next
    depth = 0
    for bracket in _BRACKET.finditer(text):
        depth += (bracket.group() == "{") - (bracket.group() == "}")
        if depth < 0:
            return False
    return depth == 0


def power_depth(text: str) -> int:
    r"""Return how many powers stand upon each other at most: 1 for x^2 + y^2, 2 for 9^{9^9}.

    Examples
    --------
    >>> power_depth("x^2+y^{2}"), power_depth("2^3^4"), power_depth("e^{x^{2^n}}"), power_depth("2**3**4")
    (1, 2, 3, 2)
    """
    deepest = 0
    height = 0  # powers that the current character stands upon
    chain = 0  # powers of the term just read, for a^b^c without braces
    outer: list[int] = []
    raised = False  # the next item is an exponent
    for power in _POWER_ITEM.finditer(plain(text).replace("**", "^")):
        item = power.group()
        if item == "^":
            chain += 1
            raised = True
            deepest = max(deepest, height + chain)
        elif item in "{([":
            outer.append(height)
            height += chain if raised else 0
            chain, raised = 0, False
        elif item in "})]":
            before = outer.pop() if outer else 0
            chain = height - before
            height = before
        elif not item.isspace():
            chain = chain if raised else 0
            raised = False
    return deepest
