"""What a choice costs, by the number of finished runs: `python bench/choice.py OUT.json [--draws N] [--first]`.

`python bench/choice_tables.py OUT.json` prints the result as Markdown.

Candidates of one base: some finished, at random or the first by Pass@64, 12 others left; each rule takes one of these.
The prior of the hierarchical model is learnt on the corpora of the *other* families alone, and only rows of the split
`fit` are used. Rules share their draws. The interval resamples bases, then kinds of data, then candidates.

A rule that costs nothing gives no chance to be best; it is lent one, exp(b z) of its standardised score z, with the b
that does best on the other families.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "training"))

from learn_prior import learnt

from quagpredict.corpus import read_corpus
from quagpredict.corpus.benchmarks import PARTS, BenchmarkScores, benchmark_scores, geometric_mean
from quagpredict.corpus.columns import benchmark_column
from quagpredict.corpus.derived import with_derived
from quagpredict.shipped import shipped_path
from quagpredict.surrogates.forms import symmetric_root
from quagpredict.surrogates.hierarchy import AFTER, Cells, Prior, design, from_logit, predicted
from quagpredict.surrogates.hierarchy_fit import posterior
from quagpredict.surrogates.hierarchy_learning import Task
from quagpredict.surrogates.hierarchy_tables import cells_before, finished_task
from quagpredict.surrogates.stored_prior import LEVELS
from quagpredict.surrogates.training_rows import TrainingRows, training_rows
from quagpredict.surrogates.training_tables import t_factor
from quagpredict.validation.screening import screen

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

#: Families of problems: only these are independent.
FAMILIES = {"words": ("lab-2",), "numbers": ("lab", "lab-pilot"), "dials": ("lab-3", "lab-search", "lab-race")}
FINISHED = (0, 1, 2, 3, 5, 8, 12, 16, 24)
OTHERS = 12
LOSS = "pre_held_out_loss_nats"
#: What a table without counts knows, and the level whose prior speaks of it.
BY_PARTS = {"parts by difficulty": "benchmarks, what was cut, and loss"}
#: How sharp the chances may be that are made of a rule's order.
SHARPNESS = np.linspace(0.0, 4.0, 17)


class Told(NamedTuple):
    """What the default is told of the candidates of a base, and its prior of the other families."""

    cells: Cells
    after: Floats
    weights: Floats
    prior: Prior


class Base(NamedTuple):
    """The finished candidates of one base."""

    name: str
    family: str
    frame: pl.DataFrame
    told: Told
    told_less: Told | None
    y: Floats
    known: int
    kinds: NDArray[np.str_]
    geometric: Floats
    sharpness: dict[str, float]
    best_elsewhere: str


def task_of(rows: TrainingRows, level: str) -> Task:
    """Return finished candidates as a level knows them; of parts, results are known by the overall score alone."""
    if level not in BY_PARTS:
        knots, terms, tries = LEVELS[level]
        return finished_task(rows, terms, by_benchmark=bool(knots), tries=tries)
    frame = rows.frame.drop("pre_problems", "post_problems")
    columns = {kind: [benchmark_column(part, kind) for part in PARTS] for kind in ("pass_at_1", "samples", "problems")}
    known = with_derived(frame, [name for names in columns.values() for name in names])
    tables = (known.select(names).to_numpy().astype(np.float64) for names in columns.values())
    cells = cells_before(BenchmarkScores(PARTS, *tables), frame, LEVELS[BY_PARTS[level]].terms)
    return Task(cells, np.full(cells.share.shape, np.nan), np.full(len(PARTS), 1 / len(PARTS)))


def bases(levels: Sequence[str], corpora: Sequence[str]) -> list[Base]:
    """Return the bases of these corpora as the levels know them, each with the prior of the other families' corpora."""
    tables = {name: read_corpus(shipped_path(f"datasets/{name}/corpus.parquet")) for name in corpora}
    families = [family for family, names in FAMILIES.items() if {*names} & {*corpora}]
    found = []
    for family in families:
        others = {name: table for name, table in tables.items() if name not in FAMILIES[family]}
        stored = learnt(others, [BY_PARTS.get(level, level) for level in levels])
        for name in (name for name in FAMILIES[family] if name in tables):
            rows = training_rows(tables[name], "post_pass_at_1")
            tasks = [task_of(rows, level) for level in levels]
            geometric = geometric_mean(benchmark_scores(rows.frame))
            for base in rows.frame["base_model"].unique().sort():
                at = np.flatnonzero((rows.frame["base_model"] == base).to_numpy())
                alone = np.ones((len(at), 1))
                told = [
                    Told(
                        task.cells.take(at)._replace(member=alone),
                        from_logit(task.z[at]),
                        task.weights,
                        stored.levels[BY_PARTS.get(level, level)],
                    )
                    for level, task in zip(levels, tasks, strict=True)
                ]
                frame = rows.frame[at.tolist()].drop("pre_problems", "post_problems")
                # No two random recipes share a kind of data: each is a kind of its own.
                kinds = frame["recipe_data_kind"].fill_null("").to_numpy().astype(np.str_)
                kinds = kinds if len(np.unique(kinds)) > 1 else frame["candidate"].to_numpy().astype(np.str_)
                found.append(
                    Base(
                        f"{name}/{base}",
                        family,
                        frame,
                        told[0],
                        told[1] if len(told) > 1 else None,
                        rows.y[at],
                        stored.bases,
                        kinds,
                        geometric[at],
                        {},
                        "",
                    )
                )
    elsewhere = {family: [one for one in found if one.family != family] for family in families}
    sharp = {family: sharpness(others) for family, others in elsewhere.items()}
    best = {family: best_free_rule(others) for family, others in elsewhere.items()}
    return [base._replace(sharpness=sharp[base.family], best_elsewhere=best[base.family]) for base in found]


Rule = Callable[[Base, Places, Places], Floats]


def hierarchical(base: Base, finished: Places, others: Places) -> Floats:
    """Return the default's expected score of the others."""
    return believed(base.told, base.y, finished, others)[0]


def told_less(base: Base, finished: Places, others: Places) -> Floats:
    """Return what it expects where it is told less."""
    assert base.told_less is not None
    return believed(base.told_less, base.y, finished, others)[0]


def believed(told: Told, y: Floats, finished: Places, others: Places) -> tuple[Floats, Floats, Floats]:
    """Return mean, shared and own errors of the others' scores."""
    cells, after, weights, prior = told
    found = posterior(design(cells.take(finished), prior.knots), prior, after[finished], y[finished], weights)
    root = symmetric_root(found.covariance)
    scores = predicted(cells.take(others), prior.knots, found.mean, root, found.spreads, weights)
    return scores.mean, scores.shared, scores.own


def screening(base: Base, _finished: Places, others: Places) -> Floats:
    """Return the paper's order of the others."""
    found = screen(base.frame[others.tolist()])
    return np.asarray(found.key.to_numpy() - 2.0 * found.screened_out.to_numpy())


def three_lines(base: Base, finished: Places, others: Places) -> Floats:
    """Return the mean of lines through Pass@1, Pass@64 and loss: the default before."""
    total = np.zeros(len(others))
    for name in ("pre_pass_at_1", "pre_pass_at_64", LOSS):
        values = base.frame[name].to_numpy()
        x = np.log(values) if name == LOSS else AFTER.forward(values)
        total += np.polyval(np.polyfit(x[finished], base.y[finished], 1), x[others])
    return total / 3.0


RULES: dict[str, Rule] = {
    "hierarchical": hierarchical,
    "told less": told_less,
    "Pass@64": lambda base, _, others: base.frame["pre_pass_at_64"].to_numpy()[others],
    "Pass@16": lambda base, _, others: base.frame["pre_pass_at_16"].to_numpy()[others],
    "screening": screening,
    "held-out loss": lambda base, _, others: -base.frame[LOSS].to_numpy()[others],
    "geometric mean": lambda base, _, others: base.geometric[others],
    "SFT Pass@1": lambda base, _, others: base.frame["pre_pass_at_1"].to_numpy()[others],
    "three lines": three_lines,
    "best elsewhere": lambda base, finished, others: RULES[base.best_elsewhere](base, finished, others),
}


FREE = tuple(name for name in RULES if name not in ("hierarchical", "told less", "three lines", "best elsewhere"))


def lent_chance(scores: Floats, sharp: float) -> Floats:
    """Return the chance to be best that the order of a rule is lent, (n,)."""
    spread = float(scores.std())
    power = np.exp(sharp * (scores - scores.mean()) / spread) if spread > 0 else np.ones(len(scores))
    return np.asarray(power / power.sum())


def sharpness(others: Sequence[Base]) -> dict[str, float]:
    """Return how sharp the chances of each free rule do best on these bases, by log score."""
    random = np.random.default_rng(0)
    gains: dict[str, list[Floats]] = {name: [] for name in FREE}
    for base in others:
        for _ in range(20):
            drawn = random.permutation(len(base.y))[:OTHERS]
            best = int(base.y[drawn].argmax())
            for name in FREE:
                scores = RULES[name](base, drawn[:0], drawn)
                gains[name].append(np.log([lent_chance(scores, sharp)[best] for sharp in SHARPNESS]))
    return {name: float(SHARPNESS[np.mean(rows, axis=0).argmax()]) for name, rows in gains.items()}


def best_free_rule(others: Sequence[Base]) -> str:
    """Return the free rule whose first of 12 at random, with no result, costs least on these bases."""
    random = np.random.default_rng(0)
    lost: dict[str, list[float]] = {name: [] for name in FREE}
    for base in others:
        for _ in range(40):
            drawn = random.permutation(len(base.y))[:OTHERS]
            for name in FREE:
                lost[name].append(judged(RULES[name](base, drawn[:0], drawn), base.y[drawn], -np.inf)[0])
    return min(FREE, key=lambda name: float(np.mean(lost[name])))


def gains(chance: Floats, y: Floats) -> tuple[float, float]:
    """Return by how much chances to be best are better than an even one: log score, Brier score."""
    best = np.arange(len(y)) == y.argmax()
    return float(np.log(chance[best][0] * len(y))), float(1 - 1 / len(y) - ((chance - best) ** 2).sum())


def judged(scores: Floats, y: Floats, in_hand: float) -> tuple[float, float, float]:
    """Return regret among the others and of the best in hand, in points, and the share of pairs in order."""
    taken = float(y[scores >= scores.max()].mean())
    best = float(y.max())
    first, second = np.triu_indices(len(y), 1)
    order = np.sign(scores[first] - scores[second]) * np.sign(y[first] - y[second])
    known = y[first] != y[second]
    pairs = float(((order > 0) + 0.5 * (order == 0))[known].mean()) if known.any() else np.nan
    return 100 * (best - taken), 100 * (max(best, in_hand) - max(taken, in_hand)), pairs


def one_draw(base: Base, count: int, among: Places, first: bool, random: np.random.Generator) -> dict[str, list[float]]:
    """Return what each rule costs in one draw and what its chances say, and whether the default's intervals hold."""
    drawn = random.permutation(among)[: count + OTHERS]
    if first:
        drawn = drawn[np.argsort(-base.frame["pre_pass_at_64"].to_numpy()[drawn], kind="stable")]
    finished, others = np.sort(drawn[:count]), drawn[count:]
    y = base.y[others]
    in_hand = float(base.y[finished].max()) if count else -np.inf
    mean, shared, own = believed(base.told, base.y, finished, others)
    reach = 1.645 * t_factor(float(max(base.known + count - 1, 4)))  # as the surrogate's own interval
    inside = np.abs(y - mean) <= reach * np.sqrt((shared**2).sum(axis=1) + own**2)
    draws = mean[:, None] + shared @ random.standard_normal((shared.shape[1], 400))
    draws = draws + own[:, None] * random.standard_normal((len(y), 400))
    chance = (np.bincount(draws.argmax(axis=0), minlength=len(y)) + 0.5) / (400 + 0.5 * len(y))
    result = {}
    for name, rule in RULES.items():
        if (name == "three lines" and count < 5) or (name == "told less" and base.told_less is None):
            continue
        scores = mean if name == "hierarchical" else rule(base, finished, others)
        said = lent_chance(scores, base.sharpness[name]) if name in base.sharpness else None
        said = chance if name == "hierarchical" else said
        result[name] = [*judged(scores, y, in_hand), *(gains(said, y) if said is not None else ())]
    return result | {"holds": [float(inside.mean())]}


def over_draws(
    base: Base, count: int, draws: int, first: bool, random: np.random.Generator, resampled: bool
) -> dict[str, Floats]:
    """Return the mean over draws of what each rule costs on a base; empty where it has too few candidates."""
    each: dict[str, list[list[float]]] = {}
    for _ in range(draws):
        among = np.arange(len(base.y))
        if resampled:
            kinds = np.unique(base.kinds)
            kept = kinds[random.integers(0, len(kinds), len(kinds))]
            among = np.flatnonzero(np.isin(base.kinds, kept))
            among = np.unique(among[random.integers(0, len(among), 2 * len(among))])
        if len(among) < count + 4:
            continue
        for name, values in one_draw(base, count, among, first, random).items():
            each.setdefault(name, []).append(values)
    return {name: np.mean(values, axis=0) for name, values in each.items()}


def whole(everything: Sequence[Base], resamples: int) -> dict[str, object]:
    """Return pairs in order and regret of each rule among all candidates of a base, with no result.

    Beside it how the default differs from each rule over all bases, with 90 % intervals that resample bases and, of
    each, candidates.
    """
    random, none = np.random.default_rng(0), np.zeros(0, dtype=np.int64)
    scores = []
    for base in everything:
        at = np.arange(len(base.y))
        names = [name for name in ("hierarchical", "told less", *FREE) if name != "told less" or base.told_less]
        scores.append({name: RULES[name](base, none, at) for name in names})

    def found(place: int, rows: Places) -> dict[str, Floats]:
        y = everything[place].y[rows]
        return {name: np.array(judged(values[rows], y, -np.inf))[[2, 0]] for name, values in scores[place].items()}

    each = [found(place, np.arange(len(base.y))) for place, base in enumerate(everything)]
    drawn: dict[str, list[Floats]] = {name: [] for name in each[0] if name != "hierarchical"}
    for _ in range(resamples):
        places = random.integers(0, len(everything), len(everything))
        some = [found(int(at), random.integers(0, (n := len(everything[at].y)), n)) for at in places]
        for name, rows in drawn.items():
            rows.append(np.nanmean([one["hierarchical"] - one[name] for one in some], axis=0))
    result: dict[str, object] = {
        base.name: {name: values.round(3).tolist() for name, values in one.items()}
        for base, one in zip(everything, each, strict=True)
    }
    result["points off"] = {
        name: float(
            np.mean([100 * np.abs(one[name] - base.y).mean() for one, base in zip(scores, everything, strict=True)])
        )
        for name in scores[0]
        if name not in FREE
    }
    result["all"] = {name: np.mean([one[name] for one in each], axis=0).round(3).tolist() for name in each[0]}
    result["default less rule, 90 %"] = {
        name: np.nanquantile(rows, [0.05, 0.95], axis=0).T.round(3).tolist() for name, rows in drawn.items() if rows
    }
    return result


def apart(rows: Sequence[dict[str, Floats]], rule: str) -> float:
    """Return how much more the default costs than a rule, over bases; NaN where neither was drawn."""
    found = [row["hierarchical"][0] - row[rule][0] for row in rows if rule in row]
    return float(np.mean(found)) if found else np.nan


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", metavar="OUT.json")
    parser.add_argument("--draws", type=int, default=40, help="draws a base; a resample takes a tenth of them")
    parser.add_argument("--resamples", type=int, default=100)
    parser.add_argument("--first", action="store_true", help="finish the first by Pass@64 instead of any")
    parser.add_argument(
        "--level", choices=(*LEVELS, *BY_PARTS), default=next(iter(LEVELS)), help="what is known of a candidate"
    )
    parser.add_argument("--beside", choices=LEVELS, help="judge it beside the default as it is when told this alone")
    every = [name for names in FAMILIES.values() for name in names]
    parser.add_argument(
        "--corpora", nargs="+", choices=every, default=every, help="judged and learnt from; default: all"
    )
    parser.add_argument("--finished", type=int, nargs="+", default=list(FINISHED), metavar="N", help="default: 0 to 24")
    parser.add_argument(
        "--whole", nargs="+", metavar="BASE", help="all candidates of these bases (lab-3/elm), no result"
    )
    given = parser.parse_args()
    everything = bases([given.level, *([given.beside] if given.beside else [])], given.corpora)
    if given.whole:
        chosen = [base for base in everything if base.name in given.whole]
        found = whole(chosen, given.resamples)
        Path(given.out).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(json.dumps(found, indent=1))
        return
    result: dict[str, dict[str, dict[str, list[float]]]] = {}
    for count in given.finished:
        random = np.random.default_rng(count)
        there = [base for base in everything if len(base.y) >= count + 6]
        means = [over_draws(base, count, given.draws, given.first, random, False) for base in there]
        few = max(given.draws // 10, 1)
        spread = [
            [over_draws(base, count, few, given.first, random, True) for base in there] for _ in range(given.resamples)
        ]
        for family in (*dict.fromkeys(base.family for base in everything), "all"):
            at = [place for place, base in enumerate(there) if family in (base.family, "all")]
            if not at:
                continue
            rules = list(means[at[0]])
            mean = {name: np.nanmean([means[place][name] for place in at], axis=0).round(3).tolist() for name in rules}
            chosen = [[rows[at[one]] for one in random.integers(0, len(at), len(at))] for rows in spread]
            intervals = {
                rule: np.quantile(known, [0.05, 0.95]).round(2).tolist()
                for rule in rules
                if rule not in ("hierarchical", "holds")
                and (known := [value for rows in chosen if np.isfinite(value := apart(rows, rule))])
            }
            result[f"{family} {count}"] = {"mean": mean, "default less rule, 90 %": intervals}
        print(count, "finished: done", file=sys.stderr, flush=True)
        Path(given.out).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
