"""Write down what every rule says of candidates before their RL has begun, so that nothing can be chosen afterwards.

    python collectors/seal_predictions.py runs/lab-3/corpus.parquet --only 'ash.*' 'birch.*' \
        --learn datasets/lab datasets/lab-2 --out datasets/lab-3/sealed-wave-1

Writes ``OUT.csv``, one row a rule and candidate: ``score`` (higher is better; what the rule orders by) and, where the
rule predicts the score after RL, ``predicted`` with ``low`` and ``high`` of its 90 % interval. ``OUT.json`` says when
and from what: the SHA-256 of the CSV, of every measurement that went in, and of every corpus and prior that was learnt
from. ``--prior`` adds what another prior than the shipped one says, such as one that has not seen the family
(`python training/learn_prior.py`).
Commit both before RL begins; `collectors/report_sealed.py` holds them against what happened.

A table in which a candidate has its score after RL already is refused, and so is an OUT that exists.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

import quagpredict as qp
from quagpredict.corpus import read_corpus
from quagpredict.corpus.benchmarks import benchmark_scores, geometric_mean
from quagpredict.errors import CorpusError, UsageError
from quagpredict.files import digest, file_digest, write_json, written_aside
from quagpredict.program import run_program
from quagpredict.shipped import shipped_path
from quagpredict.surrogates.across_families import predict_across
from quagpredict.surrogates.fitting import fit_frame
from quagpredict.surrogates.hierarchical import prior_surrogate
from quagpredict.surrogates.stored_prior import load_prior
from quagpredict.surrogates.training_rows import training_rows

TARGET = "post_pass_at_1"
#: What needs no finished run: a name, and the column that it orders by, from the best down.
FREE = {"SFT Pass@1": "pre_pass_at_1", "Pass@16": "pre_pass_at_16", "Pass@64": "pre_pass_at_64"}
#: Kinds that were shipped or chosen before this corpus was thought of, fitted on another corpus as their cards say.
KINDS = {
    "mixed": ("mixed", "both"),
    "loss and Pass@64, a line": ("linear", "both"),
    "average": ("average", ["pass_at_1", "pass_at_64", "loss"]),
    "effective_k": ("effective_k", "both"),
    "sharpening": ("sharpening", "both"),
}


#: What carries over to benchmarks and bases that no run has seen: a name, and the column of `predict_across`.
ACROSS = {
    "one map for all benchmarks": "benchmark_map",
    "ridge on mean, least and largest of the benchmarks": "ridge_of_levels",
    "hierarchical": "hierarchical",
}


class Said(NamedTuple):
    """What one rule says of n candidates."""

    rule: str
    score: NDArray[np.float64]
    predicted: NDArray[np.float64] | None = None
    low: NDArray[np.float64] | None = None
    high: NDArray[np.float64] | None = None


def said_of(
    candidates: pl.DataFrame, learnt: dict[str, pl.DataFrame], priors: Mapping[str, Path] = MappingProxyType({})
) -> Iterator[Said]:
    """Yield what every rule says: the free ones, the default of `rank`, each kind fitted on each corpus, and maps."""
    for rule, column in FREE.items():
        yield Said(rule, candidates[column].to_numpy())
    yield Said("held-out loss", -candidates["pre_held_out_loss_nats"].to_numpy())
    yield Said("geometric mean of Pass@1 over benchmarks", geometric_mean(benchmark_scores(candidates)))
    for rule, given in {"default": (), "screening": ("none",)}.items():
        told = candidates.select("candidate").join(
            qp.rank(candidates, *given).frame, on="candidate", how="left", maintain_order="left"
        )
        # A ranking over all bases; within one, its order is what counts.
        score = -told["rank"].cast(pl.Float64).to_numpy()
        ends = [told[name].to_numpy() if name in told.columns else None for name in ("prediction", "low", "high")]
        yield Said(rule, score, *ends)
    for name, folder in priors.items():
        surrogate = prior_surrogate(candidates, load_prior(folder))
        X = surrogate.design(candidates)
        mean, interval = surrogate.predict(X).mean, surrogate.interval(X)
        yield Said(f"prior alone, {name}", mean, mean, interval.low, interval.high)
    for source, frame in learnt.items():
        rows = training_rows(frame, TARGET, split="fit", source=source)
        for rule, (kind, features) in KINDS.items():
            fitted = fit_frame(kind, rows.frame, rows.y, features=features, transforms="log-logit", source=source)
            mean = fitted.predict_frame(candidates).mean
            interval = fitted.interval(fitted.design(candidates))
            yield Said(f"{rule}, from {source}", mean, mean, interval.low, interval.high)
    names = [*learnt]
    for sources in [[name] for name in names] + ([names] if len(names) > 1 else []):
        predictions = predict_across(candidates, [learnt[name] for name in sources])
        learnt_from = ", from " + " and ".join(sources)
        for rule, column in ACROSS.items():
            mean = predictions[column].to_numpy()
            ends = [f"{column}{end}" for end in ("_low", "_high")]
            low, high = (predictions[end].to_numpy() if end in predictions.columns else None for end in ends)
            yield Said(rule + learnt_from, mean, mean, low, high)


def measurement_digest(row: dict[str, Any]) -> str:
    """Return a digest of what was measured of a candidate before RL: the counts of every problem, and the loss."""
    counts = [[problem[name] for name in ("benchmark", "problem_id", "n", "c")] for problem in row["pre_problems"]]
    return digest({"counts": counts, "loss": row["pre_held_out_loss_nats"]})


def seal(
    table: Path, only: list[str], learn: list[Path], out: Path, priors: Mapping[str, Path] = MappingProxyType({})
) -> str:
    """Write what is said of the candidates of a table, and return the digest of it."""
    target = out.with_suffix(".csv")
    if target.exists():
        raise UsageError(f"{target}: exists; a seal is not written twice")
    frame = read_corpus(table)
    meant = [name for name in frame["candidate"].unique() if any(fnmatchcase(name, pattern) for pattern in only)]
    frame = frame.filter(pl.col("candidate").is_in(meant)) if only else frame
    finished = frame.filter(pl.col(TARGET).is_not_null())["candidate"].to_list() if TARGET in frame.columns else []
    if finished or frame.is_empty():
        what = f"'{finished[0]}' has its score after RL" if finished else "no candidate is meant"
        raise CorpusError(f"{table}: {what}; only what is measured before RL can be sealed")
    frame = frame.unique("candidate", keep="first", maintain_order=True)
    candidates = frame.select(name for name in frame.columns if not name.startswith(("post_", "rl_", "cost_")))
    learnt = {path.name: read_corpus(path / "corpus.parquet") for path in learn}
    sealed = pl.concat([_rows(said, candidates) for said in said_of(candidates, learnt, priors)])
    with written_aside(target) as aside:
        sealed.write_csv(aside, float_precision=6)
    write_json(
        out.with_suffix(".json"),
        {
            "sealed_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "sha256": file_digest(target),
            "candidates": candidates.height,
            "rules": sealed["rule"].unique(maintain_order=True).to_list(),
            "measurements": {row["candidate"]: measurement_digest(row) for row in candidates.iter_rows(named=True)},
            "prior": file_digest(shipped_path("models/prior/prior.json")),
            "priors": {name: file_digest(folder / "prior.json") for name, folder in priors.items()},
            "learnt_from": {path.name: file_digest(path / "corpus.parquet") for path in learn},
            "quagpredict": qp.__version__,
        },
    )
    return file_digest(target)


def _rows(said: Said, candidates: pl.DataFrame) -> pl.DataFrame:
    if not np.isfinite(said.score).all():
        raise CorpusError(f"rule '{said.rule}': says nothing of {candidates['candidate'].to_list()[0]} or another")
    nothing = [None] * candidates.height
    return pl.DataFrame(
        {
            "rule": [said.rule] * candidates.height,
            "candidate": candidates["candidate"],
            "base_model": candidates["base_model"],
            "score": said.score,
            **{name: nothing if (own := getattr(said, name)) is None else own for name in Said._fields[2:]},
        },
        schema_overrides=dict.fromkeys(("score", *Said._fields[2:]), pl.Float64),
    )


def main(arguments: list[str]) -> None:
    """Read the table and the corpora, write the seal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="table of candidates that are measured and not taken through RL")
    parser.add_argument("--only", nargs="+", default=[], metavar="PATTERN", help="only candidates of these names")
    parser.add_argument("--learn", nargs="+", type=Path, default=[], metavar="FOLDER", help="corpora to learn from")
    parser.add_argument(
        "--prior", nargs="+", default=[], metavar="NAME=FOLDER", help="other priors, each with a name for its rule"
    )
    parser.add_argument("--out", type=Path, required=True, help="path of the two files, without an ending")
    given = parser.parse_args(arguments)
    if unnamed := [text for text in given.prior if not all(text.partition("="))]:
        raise UsageError(f"--prior {unnamed[0]}: expected NAME=FOLDER")
    priors = {text.partition("=")[0]: Path(text.partition("=")[2]) for text in given.prior}
    sha256 = seal(given.table, given.only, given.learn, given.out, priors)
    print(f"{given.out}.csv: sealed, SHA-256 {sha256}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(run_program(main))
