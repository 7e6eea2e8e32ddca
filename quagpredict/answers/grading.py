"""One response, or many, to verdicts: the grader of the evaluation and of the GRPO reward."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from quagpredict.answers.caps import balanced, beyond_caps, power_depth, too_costly
from quagpredict.answers.compare import equal
from quagpredict.answers.extract import extract
from quagpredict.answers.forms import Words
from quagpredict.answers.golds import names_no_option, one_spelling, readable_gold, reduced_gold
from quagpredict.answers.policy import GradingPolicy, Verdict
from quagpredict.answers.reading import read_form
from quagpredict.errors import InvalidDataError

DEFAULT = GradingPolicy()
_NAMED = re.compile(r"^[\s$]*[A-Za-z](?:_\{?[0-9A-Za-z]{1,9}\}?)?(?:\([A-Za-z]\))?\s*=(?!=)")
_SIGN = re.compile(
    r"[=<>;]|,(?![0-9]{3})|\\(?:approx|leq?|geq?|neq?|leqslant|geqslant|equiv|sim|to)(?![A-Za-z])|\b(?:or|and)\b"
    # what the engine passes over
    r"|['?`&@]|\\(?:prime|pm|mp|[lc]?dots)(?![A-Za-z])|\.\.\."
)
_BELOW_NUMBER = re.compile(r"[0-9)]\s*_")


class Grade(NamedTuple):
    """What became of a response.

    Attributes
    ----------
    verdict : {"correct", "wrong", "no_answer", "truncated", "timeout", "error"}
        Only "correct" earns a point. timeout and error are of the symbolic stage; error also says that the gold is
        an option's letter and the response names none.
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
        The reference answer as LaTeX, plain text or number; of a whole solution its box or its #### line counts.
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
    answers = [_answer(response, reason, policy) for response, reason in zip(responses, reasons, strict=True)]
    pairs = dict.fromkeys(
        (answer, gold) for answer, gold in zip(answers, golds, strict=True) if isinstance(answer, str)
    )
    graded = _graded_pairs(list(pairs), policy)
    return [
        graded[answer, gold] if isinstance(answer, str) else answer for answer, gold in zip(answers, golds, strict=True)
    ]


def _answer(response: str, finish_reason: str, policy: GradingPolicy) -> str | Grade:
    """Return the answer that has to be compared, or the grade of a response that has none."""
    cut = finish_reason == "length"
    if cut and not policy.grade_truncated:
        return _TRUNCATED
    if not isinstance(response, str):
        raise InvalidDataError(f"a response must be text, got {type(response).__name__} {response!r:.60}")
    answer = extract(response, policy)
    if answer is None:
        return _TRUNCATED if cut else _NO_ANSWER
    return answer


_TRUNCATED = Grade("truncated", None)
_NO_ANSWER = Grade("no_answer", None)


def _graded_pairs(pairs: list[tuple[str, str]], policy: GradingPolicy) -> dict[tuple[str, str], Grade]:
    """Compare each pair by what it is, and all that this leaves open by the symbolic stage at once."""
    verdicts: dict[tuple[str, str], Verdict] = {}
    undecided: dict[tuple[str, str], tuple[str, str]] = {}
    for answer, whole in pairs:
        gold = whole if policy.extraction == "last_digits" else reduced_gold(whole)
        decision = True if answer == whole else _decided(answer, gold, policy)
        if decision is None and policy.symbolic and _for_the_engine(answer, gold, policy):
            undecided[answer, whole] = (answer, gold)
        verdicts[answer, whole] = "correct" if decision else "wrong"
        if not decision and policy.extraction != "last_digits" and names_no_option(answer, gold):
            verdicts[answer, whole] = "error"
    if undecided:
        from quagpredict.answers.symbolic import compare_pairs

        compared = compare_pairs(list(dict.fromkeys(undecided.values())), policy)
        verdicts |= {pair: compared[asked] for pair, asked in undecided.items()}
    return {pair: Grade(verdict, one_spelling(pair[0], policy)) for pair, verdict in verdicts.items()}


def _for_the_engine(answer: str, gold: str, policy: GradingPolicy) -> bool:
    """Say whether the symbolic stage may see a pair: mathematics without prose, small, a result and no task."""
    if beyond_caps(answer, policy) is not None or not balanced(answer) or too_costly(answer, gold):
        return False
    if _signs(answer) != _signs(gold):
        return False  # the engine takes the last side of 5 = 6, or one answer of two, and 5 of 5...
    if _BELOW_NUMBER.search(answer) or _BELOW_NUMBER.search(gold):
        return False  # to the engine 12_8 is 12, whatever the base
    if max(power_depth(answer), power_depth(gold)) > 1:
        return False  # a tower: what is small enough of it was computed before
    return not any(isinstance(form, Words) or getattr(form, "prose", False) for form in map(read_form, (answer, gold)))


def _signs(text: str) -> int:
    """Return how many relations, separators and marks a text has, without a name that is given a value: y = ..."""
    return len(_SIGN.findall(_NAMED.sub("", text, count=1)))


def _decided(answer: str, gold: str, policy: GradingPolicy) -> bool | None:
    """Say whether an answer is right without the symbolic stage; None if only that can tell."""
    if policy.extraction == "last_digits":
        return answer == gold or (policy.digits is None and answer.lstrip("0") == gold.lstrip("0"))
    if len(answer) > policy.max_answer_length:
        return False
    return equal(answer, gold, policy)
