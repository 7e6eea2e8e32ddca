"""Gold answers: whole solutions are reduced to their answer, and what cannot be graded against is refused."""

import hashlib
import re
from fractions import Fraction
from functools import lru_cache

from quagpredict.answers.caps import balanced, beyond_caps
from quagpredict.answers.expression import Symbol
from quagpredict.answers.extract import last_box
from quagpredict.answers.forms import Choice, Form, Items, Value
from quagpredict.answers.normalise import canonical
from quagpredict.answers.numeric import exact
from quagpredict.answers.policy import GradingPolicy
from quagpredict.answers.reading import read_form
from quagpredict.errors import InvalidDataError

_SHOWN = 120
_GSM8K = re.compile(r"(?<!\#)\#{4}(?!\#)\s*(.*)")
_CODE = re.compile(
    r"```|^\s*(?:def \w+\s*\(|class \w+\s*[:(]|import \w+|from \w+ import |return\b|print\(|\#include\b"
    r"|for \w+ in .*:\s*$|while .*:\s*$|public (?:static )?\w+ \w+\(|function \w*\(|lambda \w+\s*:|assert\b)",
    re.MULTILINE,
)
_FRAME = re.compile(r"\\(?:begin|end)\{[a-z*]+\}(?:\{[a-z|]*\})?")
_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{3,}")
_SENTENCES = re.compile(r"[A-Za-z$)][.!?]\s+[A-Z]")
_MOST_WORDS = 24


@lru_cache(maxsize=8192)
def reduced_gold(gold: str) -> str:
    r"""Return the answer in a gold that is a whole solution: its last box, or its #### line; any other gold as it is.

    Examples
    --------
    >>> reduced_gold("2 + 2 = 4\n#### 4"), reduced_gold(r"Hence $x = \boxed{5}$."), reduced_gold("12")
    ('4', '5', '12')
    """
    if ("\\boxed" in gold or "\\fbox" in gold) and (boxed := last_box(gold)) is not None:
        return boxed
    lines = _GSM8K.findall(gold) if "####" in gold else []
    return lines[-1].strip() if lines else gold


def readable_gold(gold: str, policy: GradingPolicy | None = None, problem: str | None = None) -> str:
    r"""Return the gold answer in one spelling, or say why it cannot be graded against.

    A whole solution that ends in a box or in "#### N" is reduced to that.

    Parameters
    ----------
    policy : GradingPolicy, optional
        The default policy if left out.
    problem : str, optional
        Named in the message.

    Raises
    ------
    InvalidDataError
        If the gold is no text, empty, longer than the policy allows, beyond the caps of the symbolic stage, has
        unbalanced braces, is code or a text of sentences, or is not digits (as many as `digits`) under last_digits.

    Examples
    --------
    >>> readable_gold("$\\dfrac12$"), readable_gold("First $1+1$, so\n#### 2")
    ('1/2', '2')
    """
    policy = policy or GradingPolicy()
    where = "the gold answer" if problem is None else f"the gold answer of problem {problem}"
    if not isinstance(gold, str):
        raise InvalidDataError(f"{where} must be text, got {type(gold).__name__} {gold!r}")
    shown = repr(gold if len(gold) <= _SHOWN else gold[:_SHOWN] + "...")
    if policy.extraction == "last_digits":
        if not (gold.isascii() and gold.isdigit()) or (policy.digits is not None and len(gold) != policy.digits):
            count = "" if policy.digits is None else f"{policy.digits} "
            raise InvalidDataError(f"{where} must be {count}digits (extraction: last_digits), got {shown}")
        return gold
    if _CODE.search(gold):
        raise InvalidDataError(f"{where} is code, which is not graded here: give what it prints; got {shown}")
    gold = reduced_gold(gold)
    if (why := beyond_caps(gold, policy)) is not None:
        raise InvalidDataError(f"{where} cannot be read: it has {why}: {shown}")
    if not canonical(gold):
        raise InvalidDataError(f"{where} is empty: {shown}")
    if not balanced(gold):
        raise InvalidDataError(f"{where} has braces that do not close: {shown}")
    words = len(_WORD.findall(_FRAME.sub("", gold)))
    if words > _MOST_WORDS or (words > 8 and (_SENTENCES.search(gold) or "\n" in gold.strip())):
        raise InvalidDataError(
            f"{where} is a text of {words} words with no \\boxed{{}} and no line '#### N' in it: "
            f"give the final answer alone; got {shown}"
        )
    return one_spelling(gold, policy)


def names_no_option(answer: str, gold: str) -> bool:
    r"""Say whether the gold is an option's letter alone and the answer names no letter, so that nobody can tell.

    Examples
    --------
    >>> names_no_option("36", "E"), names_no_option("(D)", "E"), names_no_option(r"\textbf{(E)}\ 36", "E")
    (True, False, False)
    """
    wanted = read_form(gold)
    return isinstance(wanted, Choice) and wanted.value is None and not _names_letter(read_form(answer))


def _names_letter(form: Form) -> bool:
    if isinstance(form, Items):
        return any(map(_names_letter, form.items))
    return isinstance(form, Choice) or (
        isinstance(form, Value) and isinstance(form.node, Symbol) and len(form.node.name) == 1
    )


def one_spelling(answer: str, policy: GradingPolicy) -> str:
    r"""Return the text by which answers are counted as the same: numbers as fractions in lowest terms.

    Examples
    --------
    >>> policy = GradingPolicy()
    >>> [one_spelling(text, policy) for text in ("1{,}000.50", "x + \\text{ y}", "5 \\text{ cm}^2")]
    ['2001/2', 'x+y', '5 cm^2']
    """
    if policy.extraction == "last_digits" or len(answer) > policy.max_answer_length:
        text = answer
    else:
        form = read_form(answer)
        value = exact(form.node) if isinstance(form, Value) else None
        if isinstance(form, Value) and value is not None and _is_short(value):
            unit = " ".join(name if power == 1 else f"{name}^{power}" for name, power in form.unit if name != "dollar")
            text = f"{value}{'%' if form.percent else ''}{' ' + unit if unit else ''}"
        else:
            text = canonical(answer)
    if len(text) <= _SHOWN:
        return text
    tail = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{text[: _SHOWN - 20]}...{tail}"


def _is_short(value: Fraction) -> bool:
    return max(value.numerator.bit_length(), value.denominator.bit_length()) < 3 * _SHOWN
