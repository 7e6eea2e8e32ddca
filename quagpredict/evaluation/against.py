"""Candidates to be told apart from: their Pass@k problem by problem, with the error that sampling leaves.

A measurement with a fixed number of samples says all of this in its candidate file. One that results stopped does not:
its nested counts are those of the first samples. Its run folder has the rule and all counts, beside the candidate file.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.corpus import read_corpus, read_provenance
from quagpredict.errors import CorpusError, IncomparableError, InvalidDataError, NothingToRankError
from quagpredict.evaluation.adaptive import mixture_of, standard_error
from quagpredict.evaluation.ordering import Other
from quagpredict.evaluation.suite import Suite
from quagpredict.metrics.stopped_sampling import StoppingRule, stopped_pass_at_k
from quagpredict.parquet import read_parquet
from quagpredict.shipped import matches


def read_others(sources: Sequence[str | Path], suite: Suite, k: int, own: Path | None = None) -> tuple[Other, ...]:
    """Read the candidates that another is to be told apart from.

    Parameters
    ----------
    sources : sequence of path or glob
        Tables of candidates, or run folders of `score_checkpoint`. A table that is named twice counts once.
    suite : Suite
        What all were measured on.
    k : int
        Which Pass@k.
    own : Path, optional
        Run folder of the candidate itself, which is left out.

    Raises
    ------
    IncomparableError
        If a candidate was measured under another eval protocol, or its protocol is not known.
    CorpusError
        If a candidate has no counts that Pass@k and its error can be computed from.
    NothingToRankError
        If no file matches, or no other candidate is left.
    """
    others = []
    for path in _files(sources, own):
        for row in read_corpus(path).iter_rows(named=True):
            named = f"{path}: candidate '{row['candidate']}'"
            protocol = row.get("eval_protocol_id")
            if protocol != suite.eval_protocol_id:
                raise IncomparableError(
                    f"{named} was measured under eval protocol {protocol or 'unknown'}, this suite is "
                    f"{suite.eval_protocol_id}; measure it on '{suite.name}', or leave it out"
                )
            problems = row.get("pre_problems")
            if problems and row.get("pre_samples_per_problem") is None:
                problems = _stopped(path, row["candidate"]) or problems
            others.append(_other(row["candidate"], problems, suite, k, named))
    if not others:
        raise NothingToRankError("`against` names no other candidate; give the tables of those measured before")
    return tuple(others)


def _files(sources: Sequence[str | Path], own: Path | None) -> list[Path]:
    files: dict[Path, Path] = {}
    for source in sources:
        for path in matches(source) or [Path(source)]:
            table = path / "candidate.parquet" if (path / "candidate.parquet").is_file() else path
            if own is None or table.resolve().parent != own.resolve():
                files.setdefault(table.resolve(), table)
    return list(files.values())


def _stopped(table: Path, name: str) -> list[dict[str, Any]]:
    """Return the counts of a stopped measurement with its rule, from its run folder; none if that is not whole."""
    folder = table.parent
    try:
        written = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        if (written["candidate"], written["draw_id"]) != (name, read_provenance(table).get("draw_id")):
            return []
        values = written["adaptive"]
        rule = StoppingRule(tuple(values["rounds"]), tuple((low, high) for low, high in values["go_on"]))
        counts = read_parquet(folder / "problems.parquet").select("benchmark", "problem_id", "n", "c")
    except (OSError, ValueError, KeyError, TypeError, RecursionError, pl.exceptions.PolarsError):
        return []
    return [{**problem, "rule": rule} for problem in counts.to_dicts()]


def _other(name: str, problems: Sequence[dict[str, Any]] | None, suite: Suite, k: int, named: str) -> Other:
    counts = {(problem["benchmark"], problem["problem_id"]): problem for problem in problems or ()}
    lacking = [problem for problem in suite.problems if (problem.benchmark, problem.problem_id) not in counts]
    if lacking:
        first = f"{lacking[0].benchmark} {lacking[0].problem_id}"
        raise CorpusError(
            f"{named}: column 'pre_problems' has no counts of {len(lacking)} of {len(suite.problems)} problems, the "
            f"first {first}; without them the error of its Pass@{k} is not known"
        )
    ordered = [counts[problem.benchmark, problem.problem_id] for problem in suite.problems]
    n, c = (np.array([problem[key] for problem in ordered], dtype=np.int64) for key in ("n", "c"))
    rules = [problem.get("rule") or StoppingRule((problem["n"],)) for problem in ordered]
    values = np.full(n.shape, np.nan)
    variance = 0.0
    mixture = mixture_of(n, c)
    for rule in set(rules):
        here: NDArray[np.bool_] = np.array([other == rule for other in rules])
        if rule.rounds[-1] < k:
            raise CorpusError(
                f"{named} has {rule.rounds[-1]} samples of a problem, Pass@{k} needs {k}; measure it with more, ask "
                'for the order at a smaller k, or, if it was measured with samples="auto", name it in its run folder'
            )
        try:
            values[here] = stopped_pass_at_k(rule, n[here], c[here], k)
        except InvalidDataError as error:
            raise CorpusError(f"{named}: problems.parquet and summary.json do not fit: {error}") from None
        variance += standard_error(mixture, rule, k, 1) ** 2 * int(here.sum()) / n.size**2
    if not np.isfinite(values).all():
        raise CorpusError(f"{named} was stopped for another Pass@k; Pass@{k} has no unbiased estimate under its rule")
    return Other(name, values, float(variance**0.5))
