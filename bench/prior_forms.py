"""Forms of the hierarchical model, judged with the family left out: `python bench/prior_forms.py OUT.json FORM ...`.

Each form is learnt on the corpora of the other families and judged on the bases of one, rows of the split `fit` alone.
With no result all candidates of a base are ordered; with some finished at random, 12 others (draws are shared). Pairs
in order and regret in points are a mean over the bases of a group; differences to the first form have 90 % intervals
that resample bases and, with no result, candidates.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from choice import OTHERS, Floats, Places, Told, believed, judged
from choice import task_of as known_by
from numpy.typing import NDArray

from quagpredict.corpus import read_corpus
from quagpredict.corpus.benchmarks import PARTS, UNNAMED, benchmark_scores, finished_shares, geometric_mean
from quagpredict.corpus.columns import benchmark_column, curve_column
from quagpredict.corpus.derived import with_derived
from quagpredict.shipped import shipped_path
from quagpredict.surrogates.hierarchy import AFTER, BEFORE, Cells, Prior, from_logit
from quagpredict.surrogates.hierarchy_learning import Belief, Task, learn
from quagpredict.surrogates.hierarchy_tables import CUT, LOSS, TERMS, finished_task, mean_over_runs
from quagpredict.surrogates.stored_prior import KNOTS
from quagpredict.surrogates.training_rows import TrainingRows, training_rows
from quagpredict.surrogates.transforms import parse_transform

#: Family -> group that is judged -> its corpora.
FAMILIES = {
    "words": {"words": ("lab-2",)},
    "numbers": {"numbers": ("lab", "lab-pilot")},
    "dials": {"lab-3, lab-race": ("lab-3", "lab-race"), "lab-search": ("lab-search",)},
}
#: Bases of the first wave of `lab-3`, on which decision 028 chose.
FIRST_WAVE = ("ash", "birch", "cedar")
COVERAGE = parse_transform("logit(199)")
#: Usual logit Pass@16 less logit Pass@1.
USUAL_GAP = 1.5
PASS_AT_64 = curve_column(64)
_SLOPE: Belief = (0.5, 0.5)


More = Callable[[pl.DataFrame, tuple[str, ...]], Floats]


class Form(NamedTuple):
    """What the model reads.

    Terms by name, knots of the map, k of the Pass@k that it reads, one more term (n, B), another share (n, B) in place
    of Pass@k; what is told of a candidate, by benchmark, by parts of its flat columns or overall, and of those that the
    prior is learnt on.
    """

    terms: tuple[str, ...]
    knots: tuple[float, ...] = KNOTS
    tries: int = 1
    more: More | None = None
    share: More | None = None
    told: str = "by benchmark"
    learnt: str = "by benchmark"


def coverage(k: int) -> More:
    """Return logit Pass@k by benchmark, (n, B), as a function of a table and benchmarks."""

    def of(frame: pl.DataFrame, names: tuple[str, ...]) -> Floats:
        columns = [curve_column(k, name) for name in names]
        return COVERAGE.forward(with_derived(frame, columns).select(columns).to_numpy().astype(np.float64))

    return of


def overall_coverage(frame: pl.DataFrame, names: tuple[str, ...]) -> Floats:
    """Return logit Pass@16 over all problems, the same on every benchmark."""
    column = curve_column(16)
    found = TERMS[column].of(with_derived(frame, [column])[column].to_numpy())
    return np.broadcast_to(found[:, None], (frame.height, len(names)))


def overall_gap(frame: pl.DataFrame, names: tuple[str, ...]) -> Floats:
    """Return logit Pass@16 less logit Pass@1 over all problems, the same on every benchmark."""
    curve = with_derived(frame, [curve_column(1), curve_column(16)])
    found = COVERAGE.forward(curve[curve_column(16)].to_numpy()) - BEFORE.forward(curve[curve_column(1)].to_numpy())
    return np.broadcast_to(found[:, None] - USUAL_GAP, (frame.height, len(names)))


def overall_cut(frame: pl.DataFrame, names: tuple[str, ...]) -> Floats:
    """Return the term of responses that were cut, over all problems."""
    found = TERMS[CUT].of(1.0 - frame["pre_truncated_share"].to_numpy())
    return np.broadcast_to(found[:, None], (frame.height, len(names)))


def unanswered(frame: pl.DataFrame, names: tuple[str, ...]) -> Floats:
    """Return the term of responses that were cut or gave no answer."""
    flat = frame.select("candidate", "pre_problems").explode("pre_problems").unnest("pre_problems")
    lost = (pl.col("truncated") + pl.col("no_answer")).sum() / pl.col("n").sum()
    cells = flat.group_by("candidate", "benchmark").agg(left=1.0 - lost).pivot("benchmark", index="candidate")
    table = frame.select("candidate").join(cells, on="candidate", how="left", maintain_order="left").select(names)
    return TERMS[CUT].of(table.to_numpy().astype(np.float64))


def uncut_share(frame: pl.DataFrame, names: tuple[str, ...]) -> Floats:
    """Return Pass@1 of the responses that were not cut."""
    finished = np.maximum(finished_shares(frame, names), TERMS[CUT].least)
    return np.minimum(benchmark_scores(frame).at(names).share / finished, 1.0)


FORMS = {
    "loss": Form((LOSS,)),
    "cut": Form((CUT, LOSS)),
    "cut or no answer": Form((LOSS,), more=unanswered),
    "Pass@1 of what was not cut": Form((LOSS,), share=uncut_share),
    "16 beside": Form((CUT, LOSS), more=coverage(16)),
    "64 beside": Form((CUT, LOSS), more=coverage(64)),
    "overall beside": Form((CUT, LOSS), more=overall_coverage),
    "4 in place": Form((CUT, LOSS), tries=4),
    "gap beside": Form((CUT, LOSS), more=overall_gap),
    "4 in place, gap beside": Form((CUT, LOSS), tries=4, more=overall_gap),
    "parts": Form((CUT, LOSS), told="by parts"),
    "parts, learnt on parts": Form((CUT, LOSS), told="by parts", learnt="by parts"),
    "Pass@64 and loss": Form((PASS_AT_64, LOSS), (), told="overall", learnt="overall"),
    "Pass@64, loss, and cut": Form((PASS_AT_64, LOSS), (), more=overall_cut, told="overall", learnt="overall"),
    "16 in place": Form((CUT, LOSS), tuple(knot + 3.0 for knot in KNOTS), tries=16),
}

#: Forms whose expected scores are averaged.
MEANS = {"mean of three": ("cut", "4 in place", "16 in place")}


def task_of(rows: TrainingRows, form: Form, told: str) -> Task:
    """Return finished candidates as a form reads them, told so of them."""
    if told == "by parts":
        return parts_task(rows)
    by_benchmark = told == "by benchmark"
    task = finished_task(rows, form.terms, by_benchmark=by_benchmark, tries=form.tries)
    if len(task.z) != rows.frame.height:
        raise ValueError("a candidate lacks a term")
    names = benchmark_scores(rows.frame).names if by_benchmark else (UNNAMED,)
    cells = task.cells
    if form.share is not None:
        cells = cells._replace(share=form.share(rows.frame, names))
    if form.more is not None:
        cells = cells._replace(terms=np.concatenate([cells.terms, form.more(rows.frame, names)[:, :, None]], axis=2))
    return task._replace(cells=cells)


def parts_task(rows: TrainingRows) -> Task:
    """Return finished candidates by the parts of their flat columns, with their results by part."""
    runs, results = (
        rows.runs.drop("pre_problems", "post_problems"),
        [benchmark_column(part, "pass_at_1", "post") for part in PARTS],
    )
    after = with_derived(runs, results).select(results).to_numpy().astype(np.float64)
    after = mean_over_runs(after, runs, {name: at for at, name in enumerate(rows.frame["candidate"])})
    return known_by(rows, "parts by difficulty")._replace(z=AFTER.forward(after))


def prior_of(tasks: Sequence[Task], form: Form) -> Prior:
    """Return the prior that a form learns."""
    beliefs = [TERMS[name].believed for name in form.terms] + ([_SLOPE] if form.more is not None else [])
    return learn(tasks, np.array(form.knots), beliefs)


class Base(NamedTuple):
    """The finished candidates of one base: what each form is told, free rules, scores after RL."""

    name: str
    group: str
    told: dict[str, Told]
    free: dict[str, Floats]
    y: Floats


def bases(forms: Sequence[str], first_wave: bool) -> tuple[list[Base], dict[str, dict[str, Prior]]]:
    """Return the bases of all families, each form with the prior of the others, and these priors by family."""
    rows = {}
    for name in (name for groups in FAMILIES.values() for names in groups.values() for name in names):
        frame = read_corpus(shipped_path(f"datasets/{name}/corpus.parquet"))
        if first_wave and name in ("lab-search", "lab-race"):
            continue
        frame = frame.filter(pl.col("base_model").is_in(FIRST_WAVE)) if first_wave and name == "lab-3" else frame
        rows[name] = training_rows(frame, "post_pass_at_1")
    read = {form: (FORMS[form], FORMS[form].told) for form in forms}
    tasks = {form: {name: task_of(one, *known) for name, one in rows.items()} for form, known in read.items()}
    taught = {
        form: {name: task_of(one, FORMS[form], FORMS[form].learnt) for name, one in rows.items()} for form in forms
    }
    found, priors = [], {}
    for family, groups in FAMILIES.items():
        own = {name for names in groups.values() for name in names}
        others = [name for name in rows if name not in own]
        priors[family] = {form: prior_of([taught[form][name] for name in others], FORMS[form]) for form in forms}
        for group, names in groups.items():
            for name in (one for one in names if one in rows):
                frame = rows[name].frame
                geometric = geometric_mean(benchmark_scores(frame))
                for base in frame["base_model"].unique().sort():
                    at = np.flatnonzero((frame["base_model"] == base).to_numpy())
                    told = {
                        form: told_of(tasks[form][name], at, priors[family][form], FORMS[form].told) for form in forms
                    }
                    free = {f"Pass@{k}": frame[f"pre_pass_at_{k}"].to_numpy()[at] for k in (1, 16, 64)}
                    found.append(
                        Base(f"{name}/{base}", group, told, free | {"geometric mean": geometric[at]}, rows[name].y[at])
                    )
    return found, priors


def told_of(task: Task, at: Places, prior: Prior, told: str) -> Told:
    """Return what a form is told of some candidates of one base."""
    cells: Cells = task.cells.take(at)._replace(member=np.ones((len(at), 1)))
    # By parts, results are known by the overall score alone.
    after = from_logit(task.z[at]) if told != "by parts" else np.full(task.z[at].shape, np.nan)
    return Told(cells, after, task.weights, prior)


def no_result(base: Base) -> dict[str, Floats]:
    """Return the scores of all candidates, by form and free rule."""
    return expected(base, np.zeros(0, dtype=np.int64), np.arange(len(base.y))) | base.free


def expected(base: Base, finished: Places, others: Places) -> dict[str, Floats]:
    """Return the scores of the others that each form expects, and the means of forms."""
    found = {form: believed(told, base.y, finished, others)[0] for form, told in base.told.items()}
    means = {name: np.mean([found[one] for one in of], axis=0) for name, of in MEANS.items() if {*of} <= {*found}}
    return found | means


def some_finished(base: Base, count: int, draws: int) -> dict[str, Floats]:
    """Return pairs in order and regret among 12 others, mean over draws; none where too few are left."""
    random = np.random.default_rng(count)
    each: dict[str, list[list[float]]] = {}
    for _ in range(draws if len(base.y) >= count + 6 else 0):
        drawn = random.permutation(len(base.y))[: count + OTHERS]
        finished, others = np.sort(drawn[:count]), drawn[count:]
        for name, values in (
            expected(base, finished, others) | {name: rule[others] for name, rule in base.free.items()}
        ).items():
            each.setdefault(name, []).append(worth(values, base.y[others]))
    return {name: np.mean(values, axis=0) for name, values in each.items()}


def worth(scores: Floats, y: Floats) -> list[float]:
    """Return pairs in order, as a share, and regret in points."""
    regret, _, pairs = judged(scores, y, -np.inf)
    return [pairs, regret]


def differences(everything: Sequence[Base], resamples: int) -> dict[str, list[list[float]]]:
    """Return the 90 % intervals of pairs and regret less those of the first form, with no result."""
    random = np.random.default_rng(0)
    scores = [no_result(base) for base in everything]
    first = next(iter(scores[0]))
    drawn: dict[str, list[Floats]] = {name: [] for name in scores[0] if name != first}
    for _ in range(resamples):
        total: dict[str, list[Floats]] = {name: [] for name in drawn}
        for place in random.integers(0, len(everything), len(everything)):
            y = everything[place].y
            at = random.integers(0, len(y), len(y))
            reference = np.array(worth(scores[place][first][at], y[at]))
            for name in drawn:
                total[name].append(np.array(worth(scores[place][name][at], y[at])) - reference)
        for name, values in total.items():
            drawn[name].append(np.mean(values, axis=0))
    return {name: np.quantile(values, [0.05, 0.95], axis=0).T.round(3).tolist() for name, values in drawn.items()}


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", metavar="OUT.json", type=Path)
    parser.add_argument("forms", nargs="+", choices=FORMS, metavar="FORM", help=f"of {', '.join(FORMS)}")
    parser.add_argument("--finished", type=int, nargs="+", default=[0, 2, 5, 12], metavar="N")
    parser.add_argument("--draws", type=int, default=8)
    parser.add_argument("--resamples", type=int, default=300)
    parser.add_argument("--first-wave", action="store_true", help="of the dials the first wave of lab-3 alone")
    given = parser.parse_args()
    everything, priors = bases(given.forms, given.first_wave)
    groups = list(dict.fromkeys(base.group for base in everything))
    result: dict[str, object] = {
        "coefficients": {
            family: {form: prior.mean.round(3).tolist() for form, prior in by_form.items()}
            for family, by_form in priors.items()
        }
    }
    for count in given.finished:
        rows: dict[str, dict[str, NDArray[np.float64]]] = {}
        for group in groups:
            its = [base for base in everything if base.group == group]
            if count:
                each = [found for base in its if (found := some_finished(base, count, given.draws))]
            else:
                each = [{name: np.array(worth(v, base.y)) for name, v in no_result(base).items()} for base in its]
            rows[group] = {name: np.mean([one[name] for one in each], axis=0) for name in each[0]}
        rows["mean of the groups"] = {
            name: np.mean([rows[group][name] for group in groups], axis=0) for name in rows[groups[0]]
        }
        for name in rows[groups[0]]:
            shown = "; ".join(f"{group} {v[name][0]:.3f}, {v[name][1]:.1f}" for group, v in rows.items())
            print(f"{count} finished, {name}: {shown}", flush=True)
        result[f"{count} finished"] = {g: {k: v.round(3).tolist() for k, v in r.items()} for g, r in rows.items()}
    if given.resamples:
        result["less the first form, no result, 90 %"] = {
            group: differences([base for base in everything if group in (base.group, "all")], given.resamples)
            for group in (*groups, "all")
        }
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
