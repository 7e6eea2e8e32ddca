"""What does a race cost, and what does it lose? On corpora whose runs all went to the end.

    python bench/race.py [RESAMPLES [CORPUS ...]]

In each trial 12 candidates of one base are drawn, or all if there are fewer. Every rule says which of them to run how
far, sees Pass@1 and Pass@16 at the rungs of the corpus and no more, and chooses one run that it finished. What it
lost is the best end of the 12 less the end of its choice. The curve model, and the prediction before RL, are learnt
from other corpora: other families of problems on other bases. A corpus whose runs are not finished is passed over.
Measuring costs nothing here, for all rules alike. Errors: base models are resampled, and in each its candidates.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.corpus import read_corpus
from quagpredict.curves.model import Forecast, learn_curves
from quagpredict.curves.rewards import learn_rewards
from quagpredict.curves.standing import Grid, grid_of, prior_forecast, standing
from quagpredict.racing.continuing import Ahead, Terms, plan_moves
from quagpredict.ranking.decisions import chances
from quagpredict.ranking.partial_runs import belief_of
from quagpredict.shipped import shipped_path
from quagpredict.surrogates.across_families import predict_across
from quagpredict.validation.screening import screen

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

# RL steps of a whole run, and what is learnt from.
TESTED = {
    "lab": (400, ("lab-2",)),
    "lab-2": (300, ("lab",)),
    "lab-3": (300, ("lab", "lab-2")),
    "lab-search": (300, ("lab", "lab-2")),
    "lab-4": (300, ("lab", "lab-3")),
}
RUNGS = (0, 50, 100, 200)
CANDIDATES = 12
DRAWS = 4
BUDGETS = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0)
#: Regret in points that is asked for, and the RL compute, in whole runs, at which regrets are shown.
BAR, SHOWN = 1.0, (1.0, 1.5, 2.0, 3.0, 4.0)


@dataclass(frozen=True)
class Field:
    """The candidates of a corpus: what each rule may see, and how they end."""

    steps: float
    rungs: tuple[int, ...]
    bases: NDArray[np.str_]
    end: Floats
    pass_at_64: Floats
    screening: Floats
    seen: dict[str, Floats]
    grids: dict[str, Grid]
    by_reward: Forecast

    def regret(self, rows: Rows, chosen: int) -> float:
        """Return in points what choosing one of the rows costs."""
        return float(100.0 * (self.end[rows].max() - self.end[chosen]))


def corpus(name: str) -> pl.DataFrame:
    """Return the runs of a corpus with the first RL seed."""
    runs = read_corpus(shipped_path(f"datasets/{name}/corpus.parquet"), nested=True)
    return runs.filter(pl.col("post_pass_at_1").is_not_null(), rl_seed=0).sort("base_model", "candidate")


def fields(names: Sequence[str] = ()) -> Iterator[tuple[str, "Field"]]:
    """Yield a title and the candidates of each corpus that has finished runs, or of the named ones."""
    runs = {name: corpus(name) for name in TESTED}
    for name, (steps, others) in TESTED.items():
        if runs[name].height and name in (names or TESTED):
            title = f"{name}, learnt from {' and '.join(others)}"
            yield title, field(runs[name], steps, [runs[other] for other in others])


def field(tested: pl.DataFrame, steps: int, learnt: Sequence[pl.DataFrame]) -> Field:
    """Return what is known of the candidates of one corpus, with all that is learnt from others."""
    model = learn_curves(learnt)
    points = tested.select("candidate", "post_curve").explode("post_curve").unnest("post_curve")
    rungs = [*(rung for rung in RUNGS if points.filter(step=rung).height == tested.height), steps]
    log = (
        tested.select("candidate", "rl_curve")
        .explode("rl_curve")
        .unnest("rl_curve")
        .select("candidate", "step", "reward")
    )
    # The mean of the last 30 steps, as a trainer's smoothed curve shows it.
    log = log.with_columns(pl.col("reward").rolling_mean(3).over("candidate"))
    points = points.join(log, on=["candidate", "step"], how="left").filter(pl.col("step").is_in(rungs))

    def table(column: str) -> Floats:
        wide = points.pivot(on="step", index="candidate", values=column)
        whole = tested.select("candidate").join(wide, on="candidate", maintain_order="left")
        return whole.select(map(str, rungs)).cast(pl.Float64).to_numpy()

    score, at_16, reward = table("pass_at_1"), table("pass_at_16"), table("reward")
    before = predict_across(tested, learnt)
    names = ("hierarchical", "hierarchical_low", "hierarchical_high")
    prior = prior_forecast(model, *(before[name].to_numpy() for name in names))
    nothing = Forecast(*(np.full(tested.height, np.nan) for _ in range(3)))
    step = np.tile(np.array(rungs, dtype=np.float64), (tested.height, 1))
    unknown = np.full(step.shape, np.nan)
    grids = {
        name: grid_of(model, step, score, at_16, 16, unknown, steps, one)
        for name, one in (("with the prediction before RL", prior), ("curves alone", nothing))
    }
    rewards = learn_rewards(learnt)
    assert rewards is not None
    by_reward = grid_of(
        model, step, unknown, unknown, 16, unknown, steps, prior, rewards.forecast(step / steps, reward)
    ).forecast
    screening = screen(tested)
    key = screening.key.to_numpy() - 1e6 * screening.screened_out.to_numpy()
    return Field(
        steps,
        tuple(rungs[:-1]),
        tested["base_model"].to_numpy(),
        score[:, -1],
        tested["pre_pass_at_64"].to_numpy(),
        key,
        {"Pass@1": score, "Pass@16": at_16, "training reward": reward},
        grids,
        by_reward,
    )


def race(field: Field, grid: Grid, rows: Rows, budget: float) -> tuple[float, int, list[tuple[float, float]]]:
    """Return what a race cost, in steps, the run that it chose, and regrets promised and real, at first and at last."""
    part = Grid(grid.step[rows], grid.score[rows], Forecast(*(values[rows] for values in grid.forecast)))
    base, seen = np.zeros(len(rows), dtype=np.int64), np.ones(len(rows), dtype=np.int64)
    ahead = Ahead(part.step, part.forecast.own, part.forecast.loading)
    spent, regrets = 0.0, []
    while True:
        now = standing(part, seen, base, field.steps)
        plan = plan_moves(now, ahead, Terms(field.steps, budget=budget - spent))
        if not plan.moves or not spent:
            promised = 100.0 * chances(belief_of(now), draws=400).expected_regret[plan.leader]
            regrets.append((float(promised), field.regret(rows, int(rows[plan.leader]))))
        if not plan.moves:
            return spent, int(rows[plan.leader]), regrets
        for move in plan.moves:
            spent += move.cost
            seen[move.row] = int(np.flatnonzero(part.step[move.row] == move.until)[0]) + 1


def halving(field: Field, by: str, rows: Rows) -> tuple[float, int]:
    """Return the same of successive halving: at each rung the worse half stops."""
    rungs = (*field.rungs[1:], field.steps)
    left, done, spent = rows, 0.0, 0.0
    for place, rung in enumerate(rungs, start=1):
        spent += len(left) * (rung - done)
        done = rung
        order = np.argsort(-field.seen[by][left, place], kind="stable")
        left = left[order][: max(len(left) // 2, 1)]
    return spent, int(left[0])


def one_cut(field: Field, by: str, rows: Rows) -> tuple[float, int]:
    """Return the same of running all to the first rung and finishing the best there."""
    best = rows[int(np.argmax(field.seen[by][rows, 1]))]
    return len(rows) * RUNGS[1] + field.steps - RUNGS[1], int(best)


def in_full(field: Field, rows: Rows) -> tuple[float, int]:
    """Return the same of running all to the end."""
    return len(rows) * field.steps, int(rows[int(np.argmax(field.end[rows]))])


Outcome = tuple[str, float, float, int, list[tuple[float, float]]]


def rules(field: Field, rows: Rows, random: np.random.Generator) -> Iterator[Outcome]:
    """Yield the rule, how much of it, its cost in steps, its choice and the regrets it promised."""
    orders = {
        "Pass@64 before RL": rows[np.argsort(-field.pass_at_64[rows], kind="stable")],
        "screening": rows[np.argsort(-field.screening[rows], kind="stable")],
        "chance": random.permutation(rows),
    }
    for name, order in orders.items():
        for m in (1, 2, 3, 4, 6, 8, 12):
            yield f"first by {name}, in full", m, *in_full(field, order[:m]), []
    first = orders["Pass@64 before RL"]
    for by in field.seen:
        for m in (2, 3, 4, 6, 8, 12):
            yield f"halving by {by}", m, *halving(field, by, first[:m]), []
    for m in (2, 3, 4, 6, 8, 12):
        yield "one cut by Pass@16", m, *one_cut(field, "Pass@16", first[:m]), []
    for name, grid in field.grids.items():
        for budget in BUDGETS:
            yield f"race, {name}", budget, *race(field, grid, rows, budget * field.steps)


def trials(field: Field, resamples: int, seed: int = 0) -> pl.DataFrame:
    """Return cost, in whole runs, and regret, in points, of every rule: means in each resample."""
    random = np.random.default_rng(seed)
    bases = np.unique(field.bases)
    found: list[dict[str, Any]] = []
    for resample in range(resamples):
        for base in random.choice(bases, len(bases)):
            pool = np.flatnonzero(field.bases == base)
            pool = np.unique(random.choice(pool, len(pool)))
            for _ in range(DRAWS):
                rows = random.choice(pool, min(CANDIDATES, len(pool)), replace=False)
                found += [
                    {
                        "resample": resample,
                        "rule": rule,
                        "size": size,
                        "cost": cost / field.steps,
                        "regret": field.regret(rows, chosen),
                        **{
                            f"{what}_{when}": value
                            for when, pair in zip(("first", "last"), promised, strict=False)
                            for what, value in zip(("promised", "real"), pair, strict=True)
                        },
                    }
                    for rule, size, cost, chosen, promised in rules(field, rows, random)
                ]
    table = pl.DataFrame(found, infer_schema_length=None)
    return table.group_by("resample", "rule", "size", maintain_order=True).agg(pl.all().mean())


def at(cost: Floats, regret: Floats, wanted: float) -> float:
    """Return the regret for so much compute, on the lower hull of what a rule can do, by straight lines."""
    order = np.argsort(cost)
    cost, regret = cost[order], np.minimum.accumulate(regret[order])
    return float(np.interp(wanted, cost, regret)) if wanted >= cost[0] - 0.05 else float("nan")


def needed(cost: Floats, regret: Floats) -> float:
    """Return the least compute for a regret of `BAR`; NaN if the rule never reaches it."""
    grid = np.linspace(cost.min(), cost.max(), 400)
    low = [place for place in grid if at(cost, regret, place) <= BAR]
    return float(low[0]) if low else float("nan")


def summary(table: pl.DataFrame, steps: float) -> pl.DataFrame:
    """Return a row a rule: regret by compute, and RL steps for the bar, each with an error by resampling."""
    out = []
    for (rule,), own in table.group_by("rule", maintain_order=True):
        mean = own.group_by("size", maintain_order=True).agg(pl.mean("cost", "regret"))
        curve = mean["cost"].to_numpy(), mean["regret"].to_numpy()
        each = [(part["cost"].to_numpy(), part["regret"].to_numpy()) for _, part in own.group_by("resample")]
        row: dict[str, Any] = {"rule": rule}
        for wanted in SHOWN:
            row[f"{wanted:g}"] = shown(at(*curve, wanted), [at(*one, wanted) for one in each])
        needs = [needed(*one) for one in each]
        reached = sorted(value if np.isfinite(value) else np.inf for value in needs)
        ends = [reached[round(q * (len(reached) - 1))] for q in (0.05, 0.95)]
        best = needed(*curve)
        shown_ends = ", ".join(f"{end * steps:.0f}" if np.isfinite(end) else "never" for end in ends)
        row[f"RL steps for {BAR:g}"] = f"{best * steps:.0f} ({shown_ends})" if np.isfinite(best) else "never"
        out.append(row)
    return pl.DataFrame(out)


def against(table: pl.DataFrame, rule: str, other: str) -> str:
    """Return by how much a rule's regret is lower than another's, by compute, with the 90 % range over resamples."""
    curves = {
        name: [
            (part["cost"].to_numpy(), part["regret"].to_numpy())
            for _, part in table.filter(rule=name).group_by("resample", maintain_order=True)
        ]
        for name in (rule, other)
    }
    parts = []
    for wanted in SHOWN[1:]:
        gains = np.array([at(*b, wanted) - at(*a, wanted) for a, b in zip(curves[rule], curves[other], strict=True)])
        low, high = np.quantile(gains, (0.05, 0.95))
        parts.append(f"{wanted:g}: {gains.mean():+.1f} ({low:+.1f} to {high:+.1f})")
    return f"{rule} gains on {other}, in points: " + "; ".join(parts)


def shown(value: float, resampled: list[float]) -> str:
    """Return a mean and its error."""
    return f"{value:.1f} ± {np.std(resampled):.1f}" if np.isfinite(value) else "-"


def main(resamples: int, names: Sequence[str]) -> None:
    """Print a table for each corpus."""
    for title, tested in fields(names):
        found = trials(tested, resamples)
        table = summary(found, tested.steps)
        print(f"\n{title}: regret in points by RL compute, in whole runs of {tested.steps:g} steps, ± 1 s.e.\n")
        print("| " + " | ".join(table.columns) + " |")
        print("| --- |" + " ---: |" * (table.width - 1))
        for row in table.rows():
            print("| " + " | ".join(row) + " |")
        print()
        for ours in (f"race, {name}" for name in tested.grids):
            for other in ("first by Pass@64 before RL, in full", "halving by Pass@16", "halving by Pass@1"):
                print(against(found, ours, other))
            own = found.filter(rule=ours)
            for when in ("first", "last"):
                promised, real = (own[f"{what}_{when}"].mean() for what in ("promised", "real"))
                print(f"expected regret of it at {when}: promised {promised:.1f}, real {real:.1f} points")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 25, sys.argv[2:])
