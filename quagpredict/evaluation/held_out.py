"""Held-out loss of a checkpoint: solution by solution, kept on disk, then one number with its error."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from quagpredict.engines.contract import Engine
from quagpredict.errors import InvalidDataError
from quagpredict.evaluation.suite import Suite
from quagpredict.files import digest
from quagpredict.metrics import token_weighted_loss
from quagpredict.parquet import read_parquet, write_parquet

COLUMNS = {
    "problem_id": pl.String(),
    "tokens": pl.Int64(),
    "nats": pl.Float64(),
    "text_tokens": pl.Int64(),
    "text_nats": pl.Float64(),
    "text_bytes": pl.Int64(),
    "cut": pl.Boolean(),
}
NAMES = ("held_out_loss_nats", "held_out_loss_se", "held_out_bits_per_byte", "held_out_truncated_share")


def held_out_table(
    suite: Suite, engine: Callable[[], Engine], draw: Mapping[str, Any], folder: Path | None
) -> pl.DataFrame:
    """Return the loss of every held-out solution, from `folder` if the same checkpoint was scored on the same texts.

    Parameters
    ----------
    suite : Suite
        Its solutions, where they are cut, its prompt.
    engine : callable
        Returns the loaded engine; not called if the scores are there.
    draw : mapping
        As `quagpredict.evaluation.drawing.draw_of`: checkpoint, engine and prompts decide, the sampling does not.
    folder : path, optional
        Where scores are kept.

    Returns
    -------
    polars.DataFrame
        One row a solution: problem_id; tokens and nats (sum of -log p) of the completion with its end token; the same
        without it, and UTF-8 bytes, of the text; cut, whether ``held_out_max_tokens`` left something out.
    """
    bound = {name: draw[name] for name in ("checkpoint", "engine", "prompt", "system_prompt")}
    texts = [asdict(example) for example in suite.held_out]
    path = folder and folder / f"{digest([bound, texts, suite.held_out_max_tokens])}.parquet"
    if path is not None and path.exists():
        try:
            return read_parquet(path).select(pl.col(name).cast(dtype) for name, dtype in COLUMNS.items())
        except (OSError, InvalidDataError, pl.exceptions.PolarsError):
            pass  # torn: scored again and written over
    table = _scored(suite, engine()) if suite.held_out else pl.DataFrame(schema=COLUMNS)
    if path is not None and suite.held_out:
        write_parquet(table, path)
    return table


def _scored(suite: Suite, engine: Engine) -> pl.DataFrame:
    pairs, sizes, cuts = [], [], []
    for example in suite.held_out:
        prompt = engine.encode_prompt(suite.prompt_of(example.prompt), suite.system_prompt)
        completion = engine.encode_completion(example.completion)
        cut = suite.held_out_max_tokens is not None and len(completion) > suite.held_out_max_tokens
        text = example.completion
        if cut:
            completion = completion[: suite.held_out_max_tokens]
            text = engine.decode(completion)
        pairs.append((prompt, completion))
        sizes.append(len(text.encode()))
        cuts.append(cut)
    rows = []
    scores = engine.completion_log_probs(pairs)
    for example, (_, completion), score, size, cut in zip(suite.held_out, pairs, scores, sizes, cuts, strict=True):
        words = len(score) - int(completion[-1] in engine.end_tokens)
        rows.append(
            (example.problem_id, len(score), -float(score.sum()), words, -float(score[:words].sum()), size, cut)
        )
    return pl.DataFrame(rows, schema=COLUMNS, orient="row")


def held_out_values(table: pl.DataFrame) -> dict[str, float | None]:
    """Return the held-out entries of a measurement: completion tokens only, unpacked, every token counting the same.

    The loss counts the end token; bits per byte leave it out, because it stands for no byte. The standard error is over
    problems: several solutions of one problem move together. All None without a held-out solution.

    Examples
    --------
    >>> row = {"problem_id": "a", "tokens": 3, "nats": 1.5, "text_tokens": 2, "text_nats": 1.0, "text_bytes": 4}
    >>> table = pl.DataFrame([{**row, "cut": False}, {**row, "problem_id": "b", "cut": True}])
    >>> values = held_out_values(table)
    >>> values["held_out_loss_nats"], values["held_out_truncated_share"], round(values["held_out_bits_per_byte"], 4)
    (0.5, 0.5, 0.3607)
    """
    if table.is_empty():
        return dict.fromkeys(NAMES)
    problems = table["problem_id"].to_numpy() if table["problem_id"].is_duplicated().any() else None
    loss = token_weighted_loss(table["nats"], table["tokens"], clusters=problems)
    per_byte = token_weighted_loss(table["text_nats"], table["text_tokens"], table["text_bytes"]).bits_per_byte
    cut = table["cut"].mean()
    values = (loss.nats_per_token, loss.standard_error, per_byte, float(cut) if isinstance(cut, float) else None)
    return dict(zip(NAMES, values, strict=True))
