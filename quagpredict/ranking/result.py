"""What a ranking is made of; plain values, all scores as fractions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

if TYPE_CHECKING:
    import pandas as pd


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
        ``prediction``, ``screening``, ``geometric mean`` (of Pass@1 over benchmarks), or the column that was chosen by;
        where the surrogate knows the level of each base, ``base mean`` and ``base and Pass@1``, rules that know it too.
    candidate : str
        The choice; the first by name of several that are equal.
    actual : float
        Its score after RL; the mean over the equal ones where several are equally good by the rule.
    regret : float
        How much better the best score after RL is than `actual`; never below 0.
    spearman : float
        Rank correlation of the rule with the scores after RL; NaN for fewer than three candidates or all equal.
    pairs_within, spearman_within, regret_within : float
        The same within base models, means over those with two candidates or more: the share of pairs in order, the rank
        correlation, and the regret of the first. NaN where there is none.
    runs_to_best : float
        RL runs until the best is among them if candidates are taken in the order of the rule; the mean over random
        orders of those that the rule does not tell apart.
    """

    rule: str
    candidate: str
    actual: float
    regret: float
    spearman: float
    pairs_within: float
    spearman_within: float
    regret_within: float
    runs_to_best: float = float("nan")


class FreeChoice(NamedTuple):
    """What a rule that costs nothing would take through RL first.

    Attributes
    ----------
    rule : str
        ``screening``, ``geometric mean`` (of Pass@1 over benchmarks), or the column that is sorted by.
    base_model : str or None
        Base model among whose candidates it is first; None: among all.
    candidate : str
    """

    rule: str
    base_model: str | None
    candidate: str


@dataclass(frozen=True)
class Outcome:
    """What RL really gave, for the candidates where that is known and that every rule may choose.

    Parameters
    ----------
    target : str
        Column of the scores.
    finished : int
        Number of these candidates.
    best : str
        Candidate with the best score.
    best_actual : float
        Its score.
    choices : tuple of Choice
        The ranking's own rule first, then the rules that cost nothing: post-SFT Pass@1, Pass@k, the held-out
        loss, the geometric mean of Pass@1 over benchmarks, and the screening, each that all of them have.
        Predictions count as they were before any of these scores was learnt from.
    """

    target: str
    finished: int
    best: str
    best_actual: float
    choices: tuple[Choice, ...]


class Budget(NamedTuple):
    """Which candidates to take through RL if there is compute for so many.

    Attributes
    ----------
    size : int
        Candidates that were asked for.
    candidates : tuple of str
        The choice; fewer than `size` if there are no more without a result, or that clear the gate.
    expected_best : float or None
        Expected score of the best of them after RL, finished candidates included; None if no score is predicted.
    expected_best_of_top : float or None
        The same for the candidates with the best predictions.
    exact : bool
        Whether every set was tried; otherwise the set was built greedily.
    at_most_lost : float or None
        How much better the best set can be at most.
    in_hand : float or None
        The best result that is known already, which costs nothing; None without one.
    """

    size: int
    candidates: tuple[str, ...]
    expected_best: float | None
    expected_best_of_top: float | None
    exact: bool
    at_most_lost: float | None
    in_hand: float | None


class Gate(NamedTuple):
    """Who clears a bar: a score, or another candidate's score and a margin.

    Attributes
    ----------
    bar : str
        What has to be reached: a score, a candidate, or ``no-sft``.
    margin : float
        By how much.
    probability : float
        A candidate clears the bar if it reaches it with at least this probability.
    cleared : tuple of str
        Candidates that clear it, the most probable first. Empty is an answer: none deserves RL.
    closest : str
        Candidate with the highest probability; empty if there is none to judge.
    p_closest : float
        Its probability.
    p_any : float
        Probability that at least one of all candidates would reach the bar.
    """

    bar: str
    margin: float
    probability: float
    cleared: tuple[str, ...]
    closest: str
    p_closest: float
    p_any: float


class NextRun(NamedTuple):
    """Whose RL run would teach most about which candidate to choose.

    Attributes
    ----------
    candidate : str
    regret_now : float
        Expected regret of choosing the best prediction now.
    regret_after : float
        Expected regret of the choice that its result would lead to.
    """

    candidate: str
    regret_now: float
    regret_after: float


class UnderWay(NamedTuple):
    """RL runs that had begun when candidates were ranked.

    Attributes
    ----------
    curves : polars.DataFrame
        Of the candidates without a result: ``candidate``, ``step`` (0 is before RL), ``pass_at_1``, Pass@k under the
        name of its k where there is one, ``n``, ``reward``; a table that `quagpredict.race` reads.
    rl_steps : int
        RL steps of a whole run.
    before : polars.DataFrame
        ``candidate``, ``prediction``, ``low``, ``high``: what was predicted without the curves, which `race` takes as
        its ``prior``.
    """

    curves: pl.DataFrame
    rl_steps: int
    before: pl.DataFrame


@dataclass(frozen=True)
class Ranking:
    """Candidates in the order in which they deserve RL compute.

    Parameters
    ----------
    frame : polars.DataFrame
        One row a candidate, best first. Always: ``rank`` (null where a measurement is missing), ``candidate``,
        ``flags`` (kinds). With a surrogate: ``prediction``, ``low``, ``high`` (90 % interval), ``p_best``,
        ``p_top_M`` (M is `top_m`), ``expected_regret``, ``p_clear`` (with a gate), ``regret_reduction`` (with
        `next_run`), ``distance``, and ``drivers``: the features with the largest contributions. Where runs are under
        way, ``step`` and ``score``: RL steps done, Pass@1 there. Then the measurements that were used, and ``actual``
        where known.
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
    contributions : polars.DataFrame or None
        ``candidate``, then how much each feature moves the prediction from that of the average candidate, in the
        target's unit, in the order of `frame`; None if no score is predicted.
    budget : Budget or None
    gate : Gate or None
    next_run : NextRun or None
        None unless asked for.
    minimize : bool
        Whether the lowest target is best.
    by_benchmark : polars.DataFrame or None
        ``candidate``, ``benchmark``, ``before`` (Pass@1 before RL), ``prediction``, ``low``, ``high`` (90 % interval),
        in the order of `frame`; None unless the surrogate predicts scores by benchmark.
    candidates : source
        The candidates as they were read: as given, or a table with the schema's names where headers were translated or
        rows left out.
    free_choices : tuple of FreeChoice
        What the rules that cost nothing would take of the candidates without a result (of all, if all have theirs),
        among all and within each base model; empty if the lowest target is best: no rule costs nothing then.
    finished : tuple of str
        Candidates that have a result of their own, in the order of `frame`; one that `truth` told does not count.
    weights : mapping of str to float
        Benchmark -> its weight in every score; empty if scores are means over problems.
    under_way : UnderWay or None
        The RL runs that had begun, whose curves the predictions rest on; None if there is none.
    """

    frame: pl.DataFrame
    surrogate: str | None
    target: str
    notes: tuple[str, ...]
    flags: tuple[Flag, ...]
    outcome: Outcome | None
    contributions: pl.DataFrame | None = None
    budget: Budget | None = None
    gate: Gate | None = None
    next_run: NextRun | None = None
    minimize: bool = False
    by_benchmark: pl.DataFrame | None = None
    candidates: Any = field(default=None, compare=False)
    free_choices: tuple[FreeChoice, ...] = ()
    finished: tuple[str, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    under_way: UnderWay | None = None

    def __repr__(self) -> str:
        """Return one line: the table is in `frame`.

        Examples
        --------
        >>> from quagpredict.ranking import rank
        >>> rank(pl.DataFrame({"candidate": ["a", "b"], "pre_pass_at_64": [0.5, 0.6]}), "none")
        Ranking(2 candidates by screening, first 'b', 0 flags; see .frame)
        """
        by = f"the surrogate '{self.surrogate}'" if self.surrogate else "screening"
        first = f", first '{self.frame['candidate'][0]}'" if self.frame.height else ""
        return f"Ranking({self.frame.height} candidates by {by}{first}, {len(self.flags)} flags; see .frame)"

    def _repr_html_(self) -> str:
        """Return the decision, the table in per cent and the notes, as notebooks show them."""
        from quagpredict.report.notebook import ranking_html

        return ranking_html(self)

    def __str__(self) -> str:
        """Return what the terminal shows: ``print(ranking)``."""
        from quagpredict.report.notebook import ranking_text

        return ranking_text(self)

    def to_pandas(self) -> "pd.DataFrame":
        """Return `frame` as a pandas frame.

        Examples
        --------
        >>> from quagpredict.ranking import rank
        >>> table = pl.DataFrame({"candidate": ["a", "b"], "pre_pass_at_64": [0.5, 0.6]})
        >>> rank(table).to_pandas()["candidate"].tolist()
        ['b', 'a']
        """
        return self.frame.to_pandas()
