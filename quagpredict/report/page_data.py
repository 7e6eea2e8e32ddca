"""What a page shows besides the ranking itself: curves of Pass@k, losses, and where the numbers come from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from quagpredict.corpus import read_corpus
from quagpredict.corpus.columns import pass_at, pass_at_columns
from quagpredict.corpus.files import files_of
from quagpredict.corpus.weights import weighted
from quagpredict.files import file_digest
from quagpredict.metrics.coverage import pass_at_k_curve
from quagpredict.ranking import Ranking

#: Candidates that a page shows; of more, the first by rank.
MOST = 500
#: Candidates whose Pass@k is drawn over k.
MOST_CURVES = 60
#: The largest k of Pass@k that a figure is drawn of, as in the free rules.
LARGE_K = 64
LOSS, SFT_SCORE = "pre_held_out_loss_nats", "pre_pass_at_1"
_IDS = {"eval_protocol_id": "eval protocol", "rl_recipe_id": "RL recipe"}

#: k, the mean over problems, and the ends of its 90 % interval where counts are known; fractions.
CurvePoint = tuple[int, float, float | None, float | None]


class Measured(NamedTuple):
    """The candidates' own measurements."""

    #: One row a candidate: ``candidate``, ``sft`` (Pass@1), ``large`` (Pass@k at `large_k`), ``loss``; null where
    #: unknown. Fractions, nats per token.
    table: pl.DataFrame
    large_k: int  #: 0 where there is no Pass@k.
    curves: Mapping[str, tuple[CurvePoint, ...]]  #: Candidate -> its Pass@k.
    #: The tables that were read, with the SHA-256 of their bytes; a table that is no file has no digest.
    files: tuple[tuple[str, str], ...]
    #: ``eval protocol`` and ``RL recipe`` -> the ids among the candidates, where the table has them.
    ids: Mapping[str, tuple[str, ...]]


def measured_of(ranking: Ranking, candidates: Any = None, files: Any = None) -> Measured:
    """Return the measurements of the ranked candidates.

    Parameters
    ----------
    candidates : source, optional
        What was ranked, as `read_corpus` reads it; by default what the ranking was made of.
    files : source, optional
        What `candidates` was made of, where it is a frame.

    Examples
    --------
    >>> from quagpredict.ranking import rank
    >>> table = pl.DataFrame({"candidate": ["a", "b"], "pre_pass_at_1": [0.5, 0.4], "pre_pass_at_64": [0.7, 0.8]})
    >>> found = measured_of(rank(table, None))
    >>> found.large_k, found.curves["b"], found.files
    (64, ((1, 0.4, None, None), (64, 0.8, None, None)), (('table', ''),))
    """
    order = ranking.frame.select("candidate").head(MOST)
    candidates = ranking.candidates if candidates is None else candidates
    named_files: tuple[tuple[str, str], ...] = ()
    ids: dict[str, tuple[str, ...]] = {}
    if candidates is None:
        rows = ranking.frame.head(MOST)
    else:
        read = read_corpus(
            candidates, nested=bool(ranking.weights) or ranking.frame.height <= 4 * MOST, allow_mixed_protocols=True
        )
        if ranking.weights:
            read = weighted(read, ranking.weights)
        ids = {
            label: tuple(read[column].drop_nulls().unique().sort())
            for column, label in _IDS.items()
            if column in read.columns
        }
        named_files = tuple(
            (name, file_digest(name) if Path(name).is_file() else "")
            for name in files_of(candidates if files is None else files)
        )
        rows = order.join(read.unique("candidate", keep="first"), on="candidate", how="left", maintain_order="left")
    columns = pass_at_columns(rows)
    large = next((name for name in reversed(columns) if pass_at(name) <= LARGE_K), "")
    named = {"sft": SFT_SCORE, "large": large, "loss": LOSS}
    table = rows.select(
        "candidate",
        *(
            (pl.col(column).cast(pl.Float64) if column in rows.columns else pl.lit(None, pl.Float64)).alias(name)
            for name, column in named.items()
        ),
    )
    curves = {row["candidate"]: _curve(row, columns) for row in rows.head(MOST_CURVES).iter_rows(named=True)}
    return Measured(
        table,
        pass_at(large) if large else 0,
        curves,
        named_files,
        {label: values for label, values in ids.items() if values},
    )


def _curve(row: Mapping[str, Any], columns: list[str]) -> tuple[CurvePoint, ...]:
    """Return the Pass@k of a candidate: from its counts, with an interval, or else as its columns give it."""
    problems = row.get("pre_problems")
    flat = [(pass_at(name), float(row[name]), None, None) for name in columns if row[name] is not None]
    if not problems or not flat:
        return tuple(flat)
    n, c = (np.array([problem[key] for problem in problems], dtype=np.int64) for key in ("n", "c"))
    # Every k needs all problems: a mean over those with many samples is another number.
    ks = [k for k, *_ in flat if k <= n.min()]
    if not ks:
        return tuple(flat)
    curve = pass_at_k_curve(n, c, ks, resamples=1000)
    ends = {int(k): (float(low), float(high)) for k, low, high in zip(curve.k, curve.low, curve.high, strict=True)}
    return tuple((k, mean, *ends.get(k, (None, None))) for k, mean, *_ in flat)
