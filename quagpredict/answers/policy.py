"""What a grader is told: where graders disagree, the choice is an option and part of the eval protocol."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from quagpredict.errors import RecipeError
from quagpredict.files import digest

# Raised when the same policy may give another verdict: old and new numbers then differ in protocol. Digits at the end
# are graded as in version 1.
GRADER_VERSION = 4
_LAST_DIGITS_VERSION = 1

Extraction = Literal["auto", "boxed", "stated", "last_digits"]
Percent = Literal["either", "value", "number"]
Units = Literal["optional", "strict"]
Lists = Literal["unordered", "ordered"]
Brackets = Literal["optional", "strict"]


@dataclass(frozen=True)
class GradingPolicy:
    r"""How a response becomes a verdict.

    Parameters
    ----------
    extraction : {"auto", "boxed", "stated", "last_digits"}
        Where the final answer is: the last ``\boxed{}``; the last stated answer ("the answer is", "####"); the box
        if there is one, else the statement (auto); the digits at the very end (last_digits, the lab).
    digits : int or None
        With last_digits: how many digits the answer has; None takes all that end the response.
    grade_truncated : bool
        Whether a response cut by the budget is graded if it holds an answer. By default it is truncated, never
        correct. A response cut inside its thought is truncated in any case.
    thought_start, thought_end : str
        Marks of a thinking model's thought; only text after the last end is read. Empty strings turn this off.
    answer_start, answer_end : str
        Marks of an answer; what stands between the last pair is read instead of the whole (auto, stated). Empty strings
        turn this off.
    percent : {"either", "value", "number"}
        What 50% equals: 0.5 and 50, only 0.5, or only 50.
    units : {"optional", "strict"}
        Whether a unit may be missing on one side. Two different units are never equal.
    lists : {"unordered", "ordered"}
        Whether the order of a list without brackets (``1, -2``) matters. Sets never have an order, tuples always.
    brackets : {"optional", "strict"}
        Whether a list without brackets equals a tuple, ``(1, -2)``, of the same items in the same order.
    relative_tolerance : float
        Allowed difference relative to the gold where one side has a decimal that is not whole. None is allowed where
        the gold is a whole number, and none between fractions and closed forms.
    symbolic : bool
        Whether pairs that reading and values leave open go to Math-Verify. Needs the extra ``grade``.
    time_limit_s : float
        Seconds for one symbolic comparison, then its worker is killed and the verdict is timeout. Where the system
        tells processor time, a worker that a busy machine held up gets the seconds that it missed.
    memory_limit_mib : int
        Address space of a symbolic worker.
    max_answer_length : int
        Characters; a longer answer is wrong unread, a longer gold is unreadable.

    Raises
    ------
    RecipeError
        If a value is not one of those named, or out of range.

    Examples
    --------
    >>> GradingPolicy(extraction="last_digits", digits=3).as_dict()["digits"]
    3
    """

    extraction: Extraction = "auto"
    digits: int | None = None
    grade_truncated: bool = False
    thought_start: str = "<think>"
    thought_end: str = "</think>"
    answer_start: str = "<answer>"
    answer_end: str = "</answer>"
    percent: Percent = "either"
    units: Units = "optional"
    lists: Lists = "unordered"
    brackets: Brackets = "optional"
    relative_tolerance: float = 1e-6
    symbolic: bool = False
    time_limit_s: float = 4.0
    memory_limit_mib: int = 512
    max_answer_length: int = 1000

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise RecipeError(f"grading: {name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}")
        for name in ("symbolic", "grade_truncated"):
            if not isinstance(getattr(self, name), bool):
                raise RecipeError(f"grading: {name} must be true or false, got {getattr(self, name)!r}")
        for name in ("thought_start", "thought_end", "answer_start", "answer_end"):
            if not isinstance(getattr(self, name), str):
                raise RecipeError(f"grading: {name} must be text, got {getattr(self, name)!r}")
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if name == "digits" and value is None:
                continue
            whole = name in ("digits", "memory_limit_mib", "max_answer_length")
            if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
                raise RecipeError(f"grading: {name} must be a {'whole ' if whole else ''}number, got {value!r}")
            if not low <= value <= high:
                raise RecipeError(f"grading: {name} must lie between {low} and {high}, got {value}")
        if self.digits is not None and self.extraction != "last_digits":
            raise RecipeError("grading: digits goes with extraction: last_digits only")

    def as_dict(self) -> dict[str, Any]:
        """Return all settings and the grader's version as plain data, for the eval protocol and records."""
        values = asdict(self)
        if self.extraction != "last_digits":
            return values | {"grader_version": GRADER_VERSION}
        # What came after version 1 has no bearing on digits: protocols measured with it keep their name.
        for name in ("brackets", "answer_start", "answer_end"):
            del values[name]
        return values | {"grader_version": _LAST_DIGITS_VERSION}

    def digest(self) -> str:
        """Return a stable digest of `as_dict`.

        Examples
        --------
        >>> GradingPolicy().digest() == GradingPolicy(symbolic=True).digest()
        False
        """
        return digest(self.as_dict())


_CHOICES: Mapping[str, tuple[str, ...]] = {
    "extraction": get_args(Extraction),
    "percent": get_args(Percent),
    "units": get_args(Units),
    "lists": get_args(Lists),
    "brackets": get_args(Brackets),
}
_RANGES: Mapping[str, tuple[float, float]] = {
    "digits": (1, 1000),
    "relative_tolerance": (0, 1),
    "time_limit_s": (0.1, 60),
    "memory_limit_mib": (256, 65536),
    "max_answer_length": (1, 4000),
}


Verdict = Literal["correct", "wrong", "no_answer", "truncated", "timeout", "error"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
