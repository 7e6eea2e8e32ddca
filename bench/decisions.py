"""Are the chances right, and do the decisions pay? On synthetic corpora, where what RL gives is known.

    python bench/decisions.py [CORPORA] [--default]

Each corpus is drawn anew: some finished runs that a surrogate is fitted on, and 16 fresh candidates. Printed is what
was promised beside what happened, with standard errors over the corpora. With --default the surrogate is that which
`rank` takes, `hierarchical`, from no finished run on: candidates are real ones of the lab, and what RL gives them is
drawn from the model and its prior, so that chances must be right.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.corpus import read_corpus
from quagpredict.corpus.benchmarks import benchmark_scores
from quagpredict.corpus.columns import benchmark_column
from quagpredict.ranking.belief import Belief, condition
from quagpredict.ranking.decisions import chances
from quagpredict.ranking.predicting import believe
from quagpredict.ranking.which_runs import regret_reductions
from quagpredict.shipped import shipped_path
from quagpredict.surrogates import fit, fit_frame
from quagpredict.surrogates.hierarchical import prior_surrogate
from quagpredict.surrogates.hierarchy import cell_noise, design, from_logit, middle_slope, weights_prior
from quagpredict.surrogates.hierarchy_tables import LOSS, cells_before
from quagpredict.surrogates.stored_prior import shipped_prior
from quagpredict.testing.synthetic import synthetic_corpus

FRESH = 16
RUNS = (2, 4, 8)

Floats = NDArray[np.float64]


def independent_of(belief: Belief) -> Belief:
    """Return the same marginal distributions, with errors of each candidate's own."""
    return replace(belief, shared=belief.shared[:, :0], own=belief.std / belief.t_factor)


def shown(values: list[float], scale: float = 100.0) -> str:
    """Return mean and standard error, in per cent or points."""
    table = scale * np.array(values)
    return f"{table.mean():6.1f} ± {table.std() / np.sqrt(len(table)):.1f}"


World = Callable[[int, int], tuple[Belief, Floats]]


def chances_table(corpora: int, finished: int, world: World) -> None:
    """Print how often what was called best was best, and what the choice cost, joint and independent."""
    rows: dict[str, list[tuple[float, ...]]] = {"joint": [], "independent": []}
    for seed in range(corpora):
        belief, actual = world(seed, finished)
        best = int(actual.argmax())
        for name, one in (("joint", belief), ("independent", independent_of(belief))):
            found = chances(one, draws=2000)
            choice = int(np.argmax(belief.mean))
            top = np.argsort(-actual)[:3]
            rows[name].append(
                (
                    found.p_best[choice],
                    float(choice == best),
                    found.p_top[choice],
                    float(choice in top),
                    found.expected_regret[choice],
                    actual[best] - actual[choice],
                    -float(np.log(max(found.p_best[best], 0.5 / 2000))),
                )
            )
    print(f"\n{finished} finished runs, {FRESH} fresh candidates, {corpora} corpora")
    for name, table in rows.items():
        p_best, was_best, p_top, was_top, regret, real, log_loss = (list(column) for column in zip(*table, strict=True))
        print(
            f"{name:<12} P(best) of the first {shown(p_best)} %, was best {shown(was_best)} %; "
            f"P(top 3) {shown(p_top)} %, was {shown(was_top)} %;\n{'':<12} expected regret {shown(regret)}, "
            f"real {shown(real)} points; log loss of P(best) {np.mean(log_loss):.3f}"
        )


def next_table(corpora: int, finished: int, world: World) -> None:
    """Print the real regret of the choice after some RL runs, by the rule that chose them."""
    rules = ("knowledge gradient", "best prediction", "largest variance", "random")
    cost: dict[str, dict[int, list[float]]] = {rule: {runs: [] for runs in (0, *RUNS)} for rule in rules}
    for seed in range(corpora):
        first, actual = world(seed, finished)
        for rule in rules:
            belief, random = first, np.random.default_rng(seed)
            for runs in range(max(RUNS) + 1):
                if runs in cost[rule]:
                    cost[rule][runs].append(float(actual.max() - actual[int(belief.merits().argmax())]))
                score = belief.result.copy()
                row = _chosen(rule, belief, random)
                score[row] = actual[row]
                belief = condition(belief, np.where(np.isfinite(belief.result), np.nan, score))
    print(f"\nreal regret in points after so many RL runs, {finished} finished runs before, {corpora} corpora")
    print(f"{'next run by':<20}" + "".join(f"{runs:>14}" for runs in (0, *RUNS)))
    for rule in rules:
        print(f"{rule:<20}" + "".join(f"{shown(cost[rule][runs]):>14}" for runs in (0, *RUNS)))


def _chosen(rule: str, belief: Belief, random: np.random.Generator) -> int:
    left = np.flatnonzero(~np.isfinite(belief.result))
    if rule == "knowledge gradient":
        value = regret_reductions(belief)[left]
    elif rule == "best prediction":
        value = belief.mean[left]
    elif rule == "largest variance":
        value = belief.std[left]
    else:
        value = random.random(len(left))
    return int(left[int(value.argmax())])


def linear_world(seed: int, finished: int) -> tuple[Belief, Floats]:
    """Return what a line believes about fresh candidates, and what RL gives them."""
    runs = synthetic_corpus(finished + FRESH, bases=1, seed=seed, nested=False).frame
    fresh = runs[finished:]
    surrogate = fit(runs[:finished], features="both")
    return believe(surrogate, surrogate.design(fresh)), fresh["post_pass_at_1"].to_numpy()


@cache
def _measured() -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return the candidates of the lab with what the default reads of them, and the benchmarks."""
    table = read_corpus(shipped_path("datasets/lab/corpus.parquet")).unique("candidate", keep="first")
    scores = benchmark_scores(table)
    columns = {benchmark_column(name): scores.share[:, at] for at, name in enumerate(scores.names)}
    columns |= {benchmark_column(name, "samples"): scores.samples[:, at] for at, name in enumerate(scores.names)}
    columns |= {benchmark_column(name, "weight"): scores.problems[:, at] for at, name in enumerate(scores.names)}
    return table.select("candidate", "base_model", LOSS, "pre_problems").with_columns(
        pl.Series(name, values) for name, values in columns.items()
    ), scores.names


def default_world(seed: int, finished: int) -> tuple[Belief, Floats]:
    """Return what the default believes about fresh candidates of a base, and what RL gives them by its own model."""
    rng = np.random.default_rng(seed)
    table, names = _measured()
    base = rng.choice(table["base_model"].unique().sort().to_numpy())
    own = table.filter(base_model=base)
    rows = own[rng.permutation(own.height)[: finished + FRESH].tolist()]
    prior = shipped_prior().levels["benchmarks and loss"]
    scores = benchmark_scores(rows)
    cells = cells_before(scores, rows, (LOSS,), np.ones((rows.height, 1)))
    at, spreads = design(cells, prior.knots), prior.spreads
    mean, covariance = weights_prior(prior, len(names), 1)
    effects = rng.multivariate_normal(mean, covariance, method="eigh")
    effects[1 : len(prior.mean)] = np.maximum(effects[1 : len(prior.mean)], 0.0)
    z = at.loadings @ effects + spreads.candidate * rng.standard_normal((rows.height, 1))
    z += np.sqrt(cell_noise(at, spreads, middle_slope(effects, prior.knots))) * rng.standard_normal(z.shape)
    after = from_logit(z)
    actual = after @ scores.weights
    results = {benchmark_column(name, stage="post"): after[:, place] for place, name in enumerate(names)}
    frame = rows.drop("pre_problems").with_columns(pl.Series(name, values) for name, values in results.items())
    frame = frame.with_columns(post_problems=pl.lit(None), post_pass_at_1=pl.Series(actual))
    done, fresh = frame[:finished], frame[finished:]
    surrogate = fit_frame("hierarchical", done, actual[:finished]) if finished else prior_surrogate(fresh)
    return believe(surrogate, surrogate.design(fresh)), actual[finished:]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", type=int, nargs="?", default=400)
    parser.add_argument("--default", action="store_true", help="the surrogate that `rank` takes")
    given = parser.parse_args()
    chosen = default_world if given.default else linear_world
    for number in (0, 3, 8, 24) if given.default else (8, 24):
        chances_table(given.corpora, number, chosen)
    next_table(given.corpora // 2, 8, chosen)
