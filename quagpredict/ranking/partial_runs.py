"""Candidates whose RL is under way: what was measured along their runs, as evidence about their ends."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from quagpredict.arrays import Floats
from quagpredict.curves.model import SCALE
from quagpredict.curves.reading import Curves, read_curves
from quagpredict.curves.standing import Standing, prior_forecast
from quagpredict.curves.under_way import Learnt, about_curves, check_ends, learnt_from, stand, with_results
from quagpredict.errors import UsageError, argument
from quagpredict.ranking.belief import Belief, Bounds
from quagpredict.ranking.finished import TARGET, finished
from quagpredict.ranking.outcome import CURVE
from quagpredict.ranking.predicting import interval
from quagpredict.ranking.result import UnderWay
from quagpredict.surrogates.fitted import Interval


@dataclass(frozen=True, eq=False)
class PartialRuns:
    """What was measured along the RL runs of candidates without a result, and what finished runs say of it."""

    #: Of every candidate without a result, its scores before RL included; of those with one only if they count here.
    curves: Curves
    rl_steps: int  #: Of a whole run.
    learnt: Learnt

    @property
    def begun(self) -> set[str]:
        """Candidates that were measured since their RL began."""
        return set(self.curves.frame.filter(pl.col("step") > 0)["candidate"])

    def forecast(self, candidates: pl.DataFrame, mean: Floats, ends: Interval, results: Floats | None = None) -> "Told":
        """Forecast the ends of all candidates, those with a curve and those without, as `race` does.

        Parameters
        ----------
        mean : array (n,)
            Predictions before RL; NaN where there is none, so that the curve speaks alone.
        ends : Interval
            Their 90 % intervals.
        results : array (n,), optional
            Scores of candidates that count as their results; NaN elsewhere.
        """
        before = prior_forecast(self.learnt.model, mean, *ends)
        now, _, _ = stand(self.curves, candidates, self.learnt, before, self.rl_steps)
        begun = candidates["candidate"].is_in(list(self.begun)).to_numpy()
        # Of what was neither predicted nor measured, the level of all runs is no prediction.
        measured = candidates["candidate"].is_in(self.curves.frame["candidate"].implode()).to_numpy()
        told_of = np.isfinite(mean) | (measured & ~np.isfinite(mean).any()) | begun
        ended = now.result if results is None else np.where(np.isfinite(results), results, now.result)
        belief = belief_of(replace(now, mean=np.where(told_of, now.mean, np.nan), result=ended))
        intervals = interval(belief)
        # Where no run of a base has begun nothing was learnt: its predictions keep their intervals.
        learnt_of = np.isin(now.base, now.base[begun]) | ~np.isfinite(mean)
        return Told(belief, Interval(*(np.where(learnt_of, *two) for two in zip(intervals, ends, strict=True))), now)

    def table(self, candidates: pl.DataFrame, mean: Floats, ends: Interval) -> UnderWay:
        """Return what a ranking holds of its runs, see `UnderWay`; `mean` and `ends` are those of `forecast`."""
        at_k = f"pass_at_{self.curves.k}" if self.curves.k else "pass_at_k"
        frame = self.curves.frame.rename({"pass_at_k": at_k, "responses": "n"})
        before = candidates.select("candidate").with_columns(
            pl.Series(name, values, nan_to_null=True)
            for name, values in (("prediction", mean), ("low", ends.low), ("high", ends.high))
        )
        return UnderWay(frame if self.curves.k else frame.drop(at_k), self.rl_steps, before)

    def notes(self) -> list[str]:
        """Return what a reader must know: which predictions rest on a run, and on what."""
        begun = self.curves.frame.filter(pl.col("step") > 0)
        last = begun.group_by("candidate").agg(pl.col("step").max())["step"].sort().to_list()
        steps = " to ".join(map(str, dict.fromkeys((last[0], last[-1]))))
        ended = last.count(self.rl_steps)
        done = f", {ended} of them to the end, which is their score" if ended else ""
        who, whose = f"{len(last)} candidates", "their predictions rest"
        if len(last) == 1:
            who, whose = "1 candidate", "its prediction rests"
        return [
            f"RL of {who} has begun ({steps} of {self.rl_steps} steps{done}): {whose} on the scores along it, those of "
            "others of the same base on what these say of the base",
            self.learnt.about(),
            *about_curves(self.curves),
        ]


class Told(NamedTuple):
    """What curves say."""

    belief: Belief  #: The joint belief about all candidates.
    ends: Interval  #: 90 % intervals, (n,) each.
    now: Standing


def partial_runs(
    curves: Any,
    own: pl.DataFrame,
    target: str,
    rl_steps: float | None,
    *,
    results: bool = False,
    percent: bool = False,
    weights: Mapping[str, float] | None = None,
    minimize: bool = False,
    left_out: Collection[str] = (),
) -> tuple[PartialRuns | None, str]:
    """Return what is known of the runs of candidates without a result, and why it is not used if it is not.

    Parameters
    ----------
    curves : source or None
        See `read_curves`; None takes the candidates' own column ``post_curve``, if there is one.
    own : polars.DataFrame
        The candidates, a row each.
    rl_steps : float, optional
        Of a whole run; by default what the candidates' column ``rl_steps`` says, if it says one number.
    results : bool
        Whether finished runs tell of the others by their curves, since no surrogate learns from them.
    percent, weights, minimize
        As for `rank`.
    left_out : collection of str
        See `read_curves`.

    Returns
    -------
    PartialRuns or None
        None if no run has begun.
    str
        Empty unless there are curves that cannot be used.

    Raises
    ------
    UsageError, CorpusError
        If `curves` were given and cannot be used, or are wrong.
    """
    if curves is None and CURVE not in own.columns:
        return None, ""
    open_ = own.filter(~finished(own, target))
    all_curves = read_curves(curves, own if curves is not None else open_, percent=percent, left_out=left_out)
    under_way = all_curves._replace(frame=all_curves.frame.join(open_, on="candidate", how="semi"))
    if not (under_way.frame["step"] > 0).any():
        return None, "" if curves is None else "no run of a candidate without a result has begun: `curves` add nothing"
    steps = rl_steps
    if steps is None and "rl_steps" in own.columns and own["rl_steps"].drop_nulls().n_unique() == 1:
        steps = own["rl_steps"].drop_nulls()[0]
    why = ""
    if target != TARGET or minimize:
        why = f"curves tell of '{TARGET}', of which the highest is best; '{target}' is predicted"
    elif weights:
        why = "curves are means over problems, and scores are weighted by benchmark"
    elif steps is None or steps != int(steps):
        why = "curves need to know how long a whole run is: pass `rl_steps`, a whole number"
    if why and curves is not None:
        raise UsageError(f"{argument('curves', curves) if isinstance(curves, str) else '`curves`'}: {why}")
    if why or steps is None:
        return None, f"the candidates' column '{CURVE}' is not used: {why}"
    all_curves = with_results(all_curves, own, int(steps)) if results else under_way
    check_ends(all_curves, int(steps))
    return PartialRuns(all_curves, int(steps), learnt_from(None, own)), ""


def belief_of(now: Standing) -> Belief:
    """Return where runs stand as the joint belief that decisions are made from."""
    bases = int(now.base.max(initial=-1)) + 1
    return Belief(
        mean=now.mean,
        shared=(now.base[:, None] == np.arange(bases)) * (now.loading * now.spread)[:, None],
        own=np.sqrt(now.own),
        degrees_of_freedom=np.inf,
        t_factor=1.0,
        target_transform=SCALE,
        result=now.result,
        bounds=Bounds(0.0, 1.0),
    )
