r"""Which search finds the mixture that ends best after RL? Real trainings, equal SFT budgets: every method, every seed.

    python collectors/studies/search_experiment.py --workers 2 --results datasets/search-experiment/winners.json \
      --report docs/search-experiment.md

For each seed and method it runs `quagpredict search` with `--verify 1`: 40 SFT trainings, then RL of the one that the
method would choose. It goes on where it was stopped. `--results` keeps what each search chose and what became of it,
so that `--report` can write its page also elsewhere, without running anything (`--report-only`).
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
REFERENCE = "sft-pass-at-1"
# Student's 95 % point for 1, 2, ... degrees of freedom: 90 % intervals of a mean over few seeds.
T95 = (6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833)


class Winner(NamedTuple):
    """What one search chose, and what RL made of it; scores are fractions.

    `agreement` is Spearman's coefficient, over all trials, of Pass@1 before RL and what the surrogate predicts after.
    """

    method: str
    seed: int
    before: float
    predicted: float | None
    after: tuple[float, ...]
    trained: int
    shares: Mapping[str, float]
    agreement: float | None = None


class Mean(NamedTuple):
    """A mean with the half-width of its 90 % interval, NaN for a single value."""

    mean: float
    half: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the searches that are not done, then write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="collectors/searches/lab-experiment.yaml", help="search space")
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
    for seed in args.seeds:
        for method in args.methods:
            if args.report_only:
                continue
            words = ["search", args.space, "--out", str(folder_of(args.out, method, seed)), "--method", method]
            words += ["--seed", str(seed), "--trials", str(args.trials), "--verify", "1", "--format", "json", *options]
            print(f"{method}, seed {seed}: quagpredict {' '.join(words)}", file=sys.stderr)
            code = quiet([*words, "--workers", str(args.workers)])
            if code not in (0, 4):  # 4: nothing feasible was found, which is a result too
                return code
    found = [one for seed in args.seeds for method in args.methods if (one := winner(args.out, method, seed))]
    known = {(one.method, one.seed): one for one in [*kept(args.results), *found]}
    winners = [known[method, seed] for seed in args.seeds for method in args.methods if (method, seed) in known]
    if args.results is not None:
        args.results.parent.mkdir(parents=True, exist_ok=True)
        with written_aside(args.results) as aside:
            aside.write_text(json.dumps([one._asdict() for one in known.values()], indent=1) + "\n", encoding="utf-8")
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
    scores = {(one.method, one.seed): fmean(one.after) for one in winners}
    methods = [method for method in args.methods if any(one.method == method for one in winners)]
    lines = ["# Which search finds what ends best after RL", ""]
    lines += [
        f"{args.trials} SFT trainings for each search, seeds {', '.join(map(str, args.seeds))}, space `{args.space}`;",
        "the recipe that each search would choose was taken through RL. Scores are Pass@1 in per cent; intervals are",
        "90 %, by Student's t over the seeds of the search; differences are paired by seed. Made by:",
        "",
        "```bash",
        f"python collectors/studies/search_experiment.py --space {args.space} --trials {args.trials} "
        f"--seeds {' '.join(map(str, args.seeds))} \\",
        f"  --methods {' '.join(args.methods)} --workers 2"
        + (f" --results {args.results}" if args.results else "")
        + " \\",
        f"  --report {args.report}",
        "```",
        "",
        f"| method | seeds | before RL | after RL | after RL minus {REFERENCE} |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for method in methods:
        own = [one for one in winners if one.method == method]
        shared = [one.seed for one in own if (REFERENCE, one.seed) in scores]
        pairs = [scores[method, seed] - scores[REFERENCE, seed] for seed in shared]
        versus = shown(mean_of(pairs)) if pairs and method != REFERENCE else ""
        cells = (shown(mean_of([one.before for one in own])), shown(mean_of([scores[method, one.seed] for one in own])))
        lines.append(f"| {method} | {len(own)} | {' | '.join(cells)} | {versus} |")
    lines += ["", verdict(scores, args.seeds)]
    drawn = [one.agreement for one in winners if one.method == "random" and one.agreement is not None]
    if drawn:
        values = ", ".join(f"{value:.2f}" for value in drawn)
        lines += ["", "How much there was to win: over the trials of each random search, Pass@1 before RL and what the"]
        lines += [
            f"surrogate predicts after RL have a Spearman coefficient of {values}. The nearer to 1, the less a search"
        ]
        lines += ["by the one can differ from a search by the other."]
    lines += ["", "## Every winner", ""]
    lines += ["| method | seed | predicted | before RL | after RL, each RL seed | largest shares |"]
    lines += ["| --- | ---: | ---: | ---: | --- | --- |"]
    for one in winners:
        predicted = "" if one.predicted is None else f"{100 * one.predicted:.1f}"
        shares = sorted(one.shares.items(), key=lambda item: -item[1])[:3]
        after = ", ".join(f"{100 * score:.1f}" for score in one.after)
        said = ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares)
        lines.append(f"| {one.method} | {one.seed} | {predicted} | {100 * one.before:.1f} | {after} | {said} |")
    return "\n".join(lines) + "\n"


def verdict(scores: Mapping[tuple[str, int], float], seeds: Sequence[int]) -> str:
    """Return what the paired differences allow to say."""
    both = [seed for seed in seeds if ("surrogate", seed) in scores and (REFERENCE, seed) in scores]
    if not both:
        return f"The surrogate and {REFERENCE} have no seed in common yet."
    found = mean_of([scores["surrogate", seed] - scores[REFERENCE, seed] for seed in both])
    if math.isnan(found.half):
        return f"With one seed there is no interval; the difference is {100 * found.mean:.1f} points."
    if found.mean > found.half:
        return "The surrogate-driven search is ahead of search by SFT Pass@1, by more than the interval's half-width."
    if found.mean < -found.half:
        return "The surrogate-driven search is **behind** search by SFT Pass@1, by more than the interval's half-width."
    return "The interval of the difference holds zero: with these seeds neither search is ahead of the other."


def shown(found: Mean) -> str:
    """Return a mean and its half-width in per cent.

    >>> shown(Mean(0.6, 0.05)), shown(Mean(0.6, math.nan))
    ('60.0 ± 5.0', '60.0')
    """
    return f"{100 * found.mean:.1f}" + ("" if math.isnan(found.half) else f" ± {100 * found.half:.1f}")


if __name__ == "__main__":
    sys.exit(main())
