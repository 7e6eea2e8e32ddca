"""What a ranking is made of; plain values, all scores as fractions."""

from dataclasses import dataclass
from typing import NamedTuple

import polars as pl


class Flag(NamedTuple):
    """A reason to distrust the ranking of one candidate.

    Attributes
    ----------
    candidate : str
    kind : str
        One of the keys of `quagpredict.ranking.flags.KINDS`.
    detail : str
        What was found, with its numbers.
    """

    candidate: str
    kind: str
    detail: str


class Choice(NamedTuple):
    """What choosing the best finished candidate by one rule gives.

    Attributes
    ----------
    rule : str
        ``prediction``, ``screening``, or the column that was chosen by.
    candidate : str
        The choice; the first by name of several that are equal.
    actual : float
        Its score after RL; the mean over the equal ones where several are equally good by the rule.
    regret : float
        Best score after RL minus `actual`; a fraction, never below 0.
    spearman : float
        Rank correlation of the rule with the scores after RL; NaN for fewer than three candidates or all equal.
    """

    rule: str
    candidate: str
    actual: float
    regret: float
    spearman: float


@dataclass(frozen=True)
class Outcome:
    """What RL really gave, for the candidates where that is known.

    Parameters
    ----------
    target : str
        Column of the scores.
    finished : int
        Number of candidates with a score.
    best : str
        Candidate with the best score.
    best_actual : float
        Its score, a fraction.
    choices : tuple of Choice
        The ranking's own rule first, then post-SFT Pass@1.
    """

    target: str
    finished: int
    best: str
    best_actual: float
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class Ranking:
    """Candidates in the order in which they deserve RL compute.

    Parameters
    ----------
    frame : polars.DataFrame
        One row a candidate, best first. Always: ``rank`` (null where a measurement is missing), ``candidate``,
        ``flags`` (kinds). With a surrogate: ``prediction``, ``low``, ``high`` (90 % interval), ``p_best``,
        ``expected_regret``, ``distance``. Then the measurements that were used, and ``actual`` where known.
    surrogate : str or None
        Name of the surrogate; None if the candidates were only screened.
    target : str
        Column that is predicted.
    notes : tuple of str
        What a reader must know, one sentence each.
    flags : tuple of Flag
        Every flag with its detail, in the order of `frame`.
    outcome : Outcome or None
        None if no score after RL is known.
    """

    frame: pl.DataFrame
    surrogate: str | None
    target: str
    notes: tuple[str, ...]
    flags: tuple[Flag, ...]
    outcome: Outcome | None
