"""One response, or many, to verdicts: the grader of the evaluation and of the GRPO reward."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from quagpredict.answers.caps import balanced, beyond_caps, too_costly
from quagpredict.answers.compare import equal
from quagpredict.answers.extract import extract
from quagpredict.answers.normalise import canonical, quantity
from quagpredict.answers.policy import GradingPolicy
from quagpredict.answers.verdict import Verdict
from quagpredict.errors import InvalidDataError

DEFAULT = GradingPolicy()
_SHOWN = 120


class Grade(NamedTuple):
    """What became of a response.

    Attributes
    ----------
    verdict : {"correct", "wrong", "no_answer", "truncated", "timeout", "error"}
        Only "correct" earns a point. timeout and error are of the symbolic stage.
    answer : str or None
        The final answer in one spelling, so that equal texts are equal answers (numbers as fractions in lowest
        terms; long answers end in a digest). None without an answer.
    """

    verdict: Verdict
    answer: str | None


def grade(response: str, gold: str, *, finish_reason: str = "stop", policy: GradingPolicy = DEFAULT) -> Grade:
    r"""Grade one response against the gold answer.

    Parameters
    ----------
    response : str
        The completion, without the prompt.
    gold : str
        The reference answer (not a whole solution), as LaTeX, plain text or number.
    finish_reason : str
        "length" if the budget cut the response; it is then truncated, whatever it holds, unless the policy grades
        truncated responses.
    policy : GradingPolicy

    Returns
    -------
    Grade

    Raises
    ------
    InvalidDataError
        If the gold is unreadable.
    MissingExtraError
        If the policy is symbolic and Math-Verify is not installed.

    Examples
    --------
    >>> grade("So the sum is \\boxed{\\frac{2}{4}}.", "0.5")
    Grade(verdict='correct', answer='1/2')
    >>> grade("The answer is 1,234 apples.", "1235").verdict, grade("I do not know.", "3").verdict
    ('wrong', 'no_answer')
    >>> grade("\\boxed{3}", "3", finish_reason="length").verdict
    'truncated'
    """
    return grade_many([response], [gold], finish_reasons=[finish_reason], policy=policy)[0]


def grade_many(
    responses: Sequence[str],
    golds: Sequence[str],
    *,
    finish_reasons: Iterable[str] | None = None,
    policy: GradingPolicy = DEFAULT,
) -> list[Grade]:
    """Grade responses against their golds; each distinct (answer, gold) is compared once.

    Parameters
    ----------
    responses, golds : sequence of str, of one length
        A gold for each response.
    finish_reasons : iterable of str, optional
        One for each response; "stop" by default.
    policy : GradingPolicy

    Returns
    -------
    list of Grade
        In the order given; a grade does not depend on the other responses.

    Raises
    ------
    InvalidDataError
        If the lengths differ, or a gold is unreadable (the message has its text).
    MissingExtraError
        If the policy is symbolic and Math-Verify is not installed.

    Examples
    --------
    >>> policy = GradingPolicy(extraction="last_digits", digits=3)
    >>> [graded.verdict for graded in grade_many(["a+2470", "a+2471", "a+"], ["470"] * 3, policy=policy)]
    ['correct', 'wrong', 'no_answer']
    """
    reasons = ["stop"] * len(responses) if finish_reasons is None else list(finish_reasons)
    if not len(responses) == len(golds) == len(reasons):
        raise InvalidDataError(
            f"grading needs one gold and one finish reason a response: {len(responses)} responses, "
            f"{len(golds)} golds, {len(reasons)} finish reasons"
        )
    for gold in dict.fromkeys(golds):
        readable_gold(gold, policy)
    found = [_answer(response, reason, policy) for response, reason in zip(responses, reasons, strict=True)]
    pairs = dict.fromkeys((answer, gold) for answer, gold in zip(found, golds, strict=True) if isinstance(answer, str))
    graded = _graded_pairs(list(pairs), policy)
    return [
        graded[answer, gold] if isinstance(answer, str) else answer for answer, gold in zip(found, golds, strict=True)
    ]


def readable_gold(gold: str, policy: GradingPolicy = DEFAULT, problem: str | None = None) -> str:
    r"""Return the gold answer in one spelling, or say why it cannot be graded against.

    Parameters
    ----------
    gold : str
    policy : GradingPolicy
    problem : str, optional
        Named in the message.

    Raises
    ------
    InvalidDataError
        If the gold is no text, empty, longer than the policy allows, beyond the caps of the symbolic stage, has
        unbalanced braces, or is not digits (as many as `digits`) under last_digits.

    Examples
    --------
    >>> readable_gold("$\\dfrac12$")
    '1/2'
    """
    where = "the gold answer" if problem is None else f"the gold answer of problem {problem}"
    if not isinstance(gold, str):
        raise InvalidDataError(f"{where} must be text, got {type(gold).__name__} {gold!r}")
    shown = repr(gold if len(gold) <= _SHOWN else gold[:_SHOWN] + "...")
    if policy.extraction == "last_digits":
        if not (gold.isascii() and gold.isdigit()) or (policy.digits is not None and len(gold) != policy.digits):
            count = "" if policy.digits is None else f"{policy.digits} "
            raise InvalidDataError(f"{where} must be {count}digits (extraction: last_digits), got {shown}")
        return gold
    if (why := beyond_caps(gold, policy)) is not None:
        raise InvalidDataError(f"{where} cannot be read: it has {why}: {shown}")
    if not canonical(gold):
        raise InvalidDataError(f"{where} is empty: {shown}")
    if not balanced(gold):
        raise InvalidDataError(f"{where} has braces that do not close: {shown}")
    return one_spelling(gold, policy)


def one_spelling(answer: str, policy: GradingPolicy) -> str:
    r"""Return the text by which answers are counted as the same.

    Examples
    --------
    >>> one_spelling("1{,}000.50", DEFAULT), one_spelling("x + \\text{ y}", DEFAULT)
    ('2001/2', 'x+y')
    """
    if policy.extraction == "last_digits" or len(answer) > policy.max_answer_length:
        text = answer
    elif (measured := quantity(answer)) is not None:
        value, unit = measured
        text = f"{value.value}{'%' if value.percent else ''}{' ' + unit if unit else ''}"
    else:
        text = canonical(answer)
    if len(text) <= _SHOWN:
        return text
    tail = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{text[: _SHOWN - 20]}...{tail}"


def _answer(response: str, finish_reason: str, policy: GradingPolicy) -> str | Grade:
    """Return the answer that has to be compared, or the grade of a response that has none."""
    cut = finish_reason == "length"
    if cut and not policy.grade_truncated:
        return _TRUNCATED
    answer = extract(response, policy)
    if answer is None:
        return _TRUNCATED if cut else _NO_ANSWER
    return answer


_TRUNCATED = Grade("truncated", None)
_NO_ANSWER = Grade("no_answer", None)


def _graded_pairs(pairs: list[tuple[str, str]], policy: GradingPolicy) -> dict[tuple[str, str], Grade]:
    """Compare each pair by text and numbers, and all that these leave open by the symbolic stage at once."""
    verdicts: dict[tuple[str, str], Verdict] = {}
    undecided = []
    for pair in pairs:
        decision = _decided(*pair, policy)
        if decision is None and policy.symbolic and _for_the_engine(*pair, policy):
            undecided.append(pair)
        verdicts[pair] = "correct" if decision else "wrong"
    if undecided:
        from quagpredict.answers.symbolic import compare_pairs

        verdicts |= compare_pairs(undecided, policy)
    return {pair: Grade(verdict, one_spelling(pair[0], policy)) for pair, verdict in verdicts.items()}


def _for_the_engine(answer: str, gold: str, policy: GradingPolicy) -> bool:
    return beyond_caps(answer, policy) is None and balanced(answer) and not too_costly(answer, gold)


def _decided(answer: str, gold: str, policy: GradingPolicy) -> bool | None:
    """Say whether an answer is right without the symbolic stage; None if only that can tell."""
    if policy.extraction == "last_digits":
        return answer == gold or (policy.digits is None and answer.lstrip("0") == gold.lstrip("0"))
    if len(answer) > policy.max_answer_length:
        return False
    return equal(answer, gold, policy)
