r"""Which search finds the mixture that ends best after RL? Real trainings, equal SFT budgets: every method, every seed.

    python collectors/studies/search_experiment.py --workers 2 --results datasets/search-experiment/winners.json \
      --report docs/search-experiment.md

For each space, seed and method it runs `quagpredict search` with `--verify 1`: SFT trainings, then RL of the one that
the method would choose. It goes on where it was stopped. `--results` keeps what each search chose and what became of
it, so that `--report` can write its page also elsewhere, without running anything (`--report-only`). Differences
between methods are paired by space and seed.
"""

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

import polars as pl

from quagpredict.cli import main as quagpredict
from quagpredict.files import written_aside
from quagpredict.validation.scores import spearman

METHODS = ("surrogate", "sft-pass-at-1", "random", "regmix", "equal")
REFERENCES = {"sft-pass-at-1": "SFT Pass@1", "pass-at-64": "Pass@64"}  # what each method is held against
# Student's 95 % point for 1, 2, ... degrees of freedom: 90 % intervals of a mean over few seeds.
T95 = (6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833)


class Winner(NamedTuple):
    """What one search chose, and what RL made of it; scores are fractions.

    `agreement` is Spearman's coefficient, over all trials, of Pass@1 before RL and what the surrogate predicts after.
    `space` is the name of the search space's file, empty where an experiment has but one.
    """

    method: str
    seed: int
    before: float
    predicted: float | None
    after: tuple[float, ...]
    trained: int
    shares: Mapping[str, float]
    agreement: float | None = None
    space: str = ""


class Mean(NamedTuple):
    """A mean with the half-width of its 90 % interval, NaN for a single value."""

    mean: float
    half: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the searches that are not done, then write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", nargs="+", default=["collectors/searches/lab-experiment.yaml"], help="search spaces")
    parser.add_argument("--out", type=Path, default=Path("runs/search-experiment"), help="folder of all searches")
    parser.add_argument("--trials", type=int, default=40, help="SFT trainings of each search (default: 40)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="seeds of the search (default: 0 1 2)")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), help="default: all")
    parser.add_argument("--workers", type=int, default=1, help="trainings side by side (default: 1)")
    parser.add_argument("--results", type=Path, help="JSON file in which winners are kept; read first, then written")
    parser.add_argument("--report", type=Path, help="Markdown page to write")
    parser.add_argument("--report-only", action="store_true", help="run nothing")
    parser.add_argument("--search-option", nargs="*", default=[], metavar="WORD", help="passed on, without its dashes")
    args = parser.parse_args(arguments)
    options = [f"--{word}" for word in args.search_option]
    spaces = {Path(space).stem if len(args.space) > 1 else "": space for space in args.space}
    searches = [(space, seed, method) for seed in args.seeds for space in spaces for method in args.methods]
    for space, seed, method in searches if not args.report_only else []:
        words = ["search", spaces[space], "--out", str(folder_of(args.out / space, method, seed)), "--method", method]
        words += ["--seed", str(seed), "--trials", str(args.trials), "--verify", "1", "--format", "json", *options]
        print(f"{method}, seed {seed}: quagpredict {' '.join(words)}", file=sys.stderr)
        code = quiet([*words, "--workers", str(args.workers)])
        if code not in (0, 4):  # 4: nothing feasible was found, which is a result too
            return code
    finished = [
        chosen._replace(space=space)
        for space, seed, method in searches
        if (chosen := winner(args.out / space, method, seed))
    ]
    every = {(chosen.space, chosen.seed, chosen.method): chosen for chosen in [*kept(args.results), *finished]}
    winners = [every[search] for search in searches if search in every]
    if args.results is not None:
        args.results.parent.mkdir(parents=True, exist_ok=True)
        with written_aside(args.results) as aside:
            aside.write_text(
                json.dumps([chosen._asdict() for chosen in every.values()], indent=1) + "\n", encoding="utf-8"
            )
    if args.report is not None:
        text = report(winners, args)
        with written_aside(args.report) as aside:
            aside.write_text(text, encoding="utf-8")
        print(f"wrote {args.report}", file=sys.stderr)
    return 0


def quiet(words: list[str]) -> int:
    """Run the command without its table; its result is in its folder."""
    from contextlib import redirect_stdout
    from io import StringIO

    with redirect_stdout(StringIO()):
        return quagpredict(words)


def folder_of(out: Path, method: str, seed: int) -> Path:
    """Return the folder of one search."""
    return out / f"{method}-s{seed}"


def winner(out: Path, method: str, seed: int) -> Winner | None:
    """Read what one search chose; None if it has not finished or found nothing feasible."""
    folder = folder_of(out, method, seed)
    if not (folder / "result.json").exists():
        return None
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    if result["chosen"] is None:
        return None
    rows = pl.read_parquet(folder / "corpus.parquet").filter(pl.col("recipe_id") == result["chosen"]["recipe_id"])
    after = rows["post_pass_at_1"].drop_nulls().to_list()
    done = sum(trial["state"] in ("complete", "pruned") for trial in result["trials"])
    chosen = result["chosen"]
    before = rows["pre_pass_at_1"][0]
    agreement = None
    if (folder / "trials.csv").exists():
        trials = pl.read_csv(folder / "trials.csv").drop_nulls(["prediction", "pre_pass_at_1"])
        agreement = float(spearman(trials["pre_pass_at_1"], trials["prediction"])) if trials.height > 2 else None
    if not after:
        return None
    return Winner(method, seed, before, chosen["prediction"], tuple(after), done, chosen["shares"], agreement)


def kept(results: Path | None) -> list[Winner]:
    """Read the winners that an earlier call kept; none if there is no such file."""
    if results is None or not results.exists():
        return []
    rows = json.loads(results.read_text(encoding="utf-8"))
    return [Winner(**{**row, "after": tuple(row["after"])}) for row in rows]


def mean_of(values: Sequence[float]) -> Mean:
    """Return the mean over seeds with its 90 % interval by Student's t.

    >>> mean_of([0.5, 0.6, 0.7])
    Mean(mean=0.6, half=0.16858627859920406)
    """
    if len(values) < 2:
        return Mean(fmean(values), math.nan)
    return Mean(fmean(values), T95[min(len(values) - 1, len(T95)) - 1] * stdev(values) / math.sqrt(len(values)))


def report(winners: Sequence[Winner], args: Any) -> str:
    """Return the page: a table of methods, paired differences, every winner."""
    scores = {(chosen.space, chosen.seed, chosen.method): fmean(chosen.after) for chosen in winners}
    methods = [method for method in args.methods if any(chosen.method == method for chosen in winners)]
    references = [name for name in REFERENCES if name == "sft-pass-at-1" or name in methods]
    pairs = "space and seed" if len(args.space) > 1 else "seed"
    lines = ["# Which search finds what ends best after RL", ""]
    lines += [
        f"{args.trials} SFT trainings for each search, seeds {', '.join(map(str, args.seeds))}, "
        f"space{'s' * (len(args.space) > 1)} {' and '.join(f'`{space}`' for space in args.space)};",
        "the recipe that each search would choose was taken through RL. Scores are Pass@1 in per cent; intervals are",
        f"90 %, by Student's t over the searches; differences are paired by {pairs}. Made by:",
        "",
        "```bash",
        f"python collectors/studies/search_experiment.py --space {' '.join(args.space)} --trials {args.trials} "
        f"--seeds {' '.join(map(str, args.seeds))} \\",
        f"  --methods {' '.join(args.methods)} --workers 2"
        + (f" --results {args.results}" if args.results else "")
        + " \\",
        f"  --report {args.report}",
        "```",
        "",
        f"| method | searches | before RL | after RL | {' | '.join(f'after RL minus {name}' for name in references)} |",
        "| --- | ---: | ---: | ---: |" + " ---: |" * len(references),
    ]
    for method in methods:
        of_method = [chosen for chosen in winners if chosen.method == method]
        before = mean_of([chosen.before for chosen in of_method])
        cells = [str(len(of_method)), shown(before), shown(mean_of([fmean(chosen.after) for chosen in of_method]))]
        for reference in references:
            gains = differences(scores, method, reference)
            cells.append(shown(mean_of(gains)) if gains and method != reference else "")
        lines.append(f"| {method} | {' | '.join(cells)} |")
    lines += [""] + [verdict(differences(scores, "surrogate", name), name) for name in references]
    drawn = [chosen.agreement for chosen in winners if chosen.method == "random" and chosen.agreement is not None]
    if drawn:
        values = ", ".join(f"{value:.2f}" for value in drawn)
        lines += ["", "How much there was to win: over the trials of each random search, Pass@1 before RL and what the"]
        lines += [
            f"surrogate predicts after RL have a Spearman coefficient of {values}. The nearer to 1, the less a search"
        ]
        lines += ["by the one can differ from a search by the other."]
    lines += ["", "## Every winner", ""]
    headings = [
        *["space"] * (len(args.space) > 1),
        "method",
        "seed",
        "predicted",
        "before RL",
        "after RL, each RL seed",
    ]
    lines += [f"| {' | '.join([*headings, 'largest shares'])} |"]
    lines += [f"|{' --- |' * (len(headings) - 4)} ---: | ---: | ---: | --- | --- |"]
    for chosen in winners:
        predicted = "" if chosen.predicted is None else f"{100 * chosen.predicted:.1f}"
        shares = sorted(chosen.shares.items(), key=lambda item: -item[1])[:3]
        after = ", ".join(f"{100 * score:.1f}" for score in chosen.after)
        largest = ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares)
        cells = [*[chosen.space] * (len(args.space) > 1), chosen.method, str(chosen.seed), predicted]
        lines.append(f"| {' | '.join([*cells, f'{100 * chosen.before:.1f}', after, largest])} |")
    return "\n".join(lines) + "\n"


def differences(scores: Mapping[tuple[str, int, str], float], method: str, reference: str) -> list[float]:
    """Return the score after RL of a method less that of a reference, for every space and seed that has both."""
    both = [(space, seed) for space, seed, name in scores if name == method and (space, seed, reference) in scores]
    return [scores[space, seed, method] - scores[space, seed, reference] for space, seed in both]


def verdict(gains: Sequence[float], reference: str) -> str:
    """Return what the paired differences between the surrogate and a reference allow to say."""
    if not gains:
        return f"The surrogate and {reference} have no seed in common yet."
    difference = mean_of(gains)
    if math.isnan(difference.half):
        return f"With one seed there is no interval; the difference is {100 * difference.mean:.1f} points."
    name = REFERENCES[reference]
    if abs(difference.mean) <= difference.half:
        return f"The interval of the difference holds zero: neither search by the surrogate nor by {name} is ahead."
    ahead = "ahead of" if difference.mean > 0 else "**behind**"
    return f"The surrogate-driven search is {ahead} search by {name}, by more than the interval's half-width."


def shown(mean: Mean) -> str:
    """Return a mean and its half-width in per cent.

    >>> shown(Mean(0.6, 0.05)), shown(Mean(0.6, math.nan))
    ('60.0 ± 5.0', '60.0')
    """
    return f"{100 * mean.mean:.1f}" + ("" if math.isnan(mean.half) else f" ± {100 * mean.half:.1f}")


if __name__ == "__main__":
    sys.exit(main())
