"""Are the chances right, and do the decisions pay? On synthetic corpora, where what RL gives is known.

    python bench/decisions.py [CORPORA]

Each corpus is drawn anew: some finished runs that a surrogate is fitted on, and 16 fresh candidates. Printed is what
was promised beside what happened, with standard errors over the corpora.
"""

import sys
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from quagpredict.ranking.belief import Belief
from quagpredict.ranking.calibration import condition
from quagpredict.ranking.decisions import chances
from quagpredict.ranking.next_run import regret_reductions
from quagpredict.ranking.predicting import believe
from quagpredict.surrogates import fit
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


def chances_table(corpora: int, finished: int) -> None:
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


def next_table(corpora: int, finished: int) -> None:
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
                score = belief.known.copy()
                row = _chosen(rule, belief, random)
                score[row] = actual[row]
                belief = condition(belief, np.where(np.isfinite(belief.known), np.nan, score))
    print(f"\nreal regret in points after so many RL runs, {finished} finished runs before, {corpora} corpora")
    print(f"{'next run by':<20}" + "".join(f"{runs:>14}" for runs in (0, *RUNS)))
    for rule in rules:
        print(f"{rule:<20}" + "".join(f"{shown(cost[rule][runs]):>14}" for runs in (0, *RUNS)))


def _chosen(rule: str, belief: Belief, random: np.random.Generator) -> int:
    left = np.flatnonzero(~np.isfinite(belief.known))
    if rule == "knowledge gradient":
        value = regret_reductions(belief)[left]
    elif rule == "best prediction":
        value = belief.mean[left]
    elif rule == "largest variance":
        value = belief.std[left]
    else:
        value = random.random(len(left))
    return int(left[int(value.argmax())])


def world(seed: int, finished: int) -> tuple[Belief, Floats]:
    """Return what is believed about fresh candidates, and what RL gives them."""
    runs = synthetic_corpus(finished + FRESH, bases=1, seed=seed, nested=False).frame
    fresh = runs[finished:]
    surrogate = fit(runs[:finished], features="both")
    return believe(surrogate, surrogate.design(fresh)), fresh["post_pass_at_1"].to_numpy()


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    for number in (8, 24):
        chances_table(count, number)
    next_table(count // 2, 8)
