"""What the files of a search space hold: how many examples, how long they are."""

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from quagpredict.errors import InvalidDataError, RecipeError
from quagpredict.lab import Mixture
from quagpredict.optional import require
from quagpredict.packed import packing_of
from quagpredict.parquet import read_parquet

FILES = (".jsonl", ".json", ".parquet")
SELECTIONS = ("random", "first", "shortest", "longest")
_MEASURED = 1000


def file_size(data: Mapping[str, Any]) -> int:
    """Return the number of examples of a local file that the training program can read.

    Parameters
    ----------
    data : mapping
        ``dataset_name`` (JSON lines or Parquet), and optionally the names of its columns.

    Raises
    ------
    RecipeError
        If it cannot be read, is empty, or has neither the columns of prompt and completion nor ``messages``.
    """
    frame = _read(data)
    path = data["dataset_name"]
    if frame.height == 0:
        raise RecipeError(f"{path}: the source is empty; take it out, or fill it")
    wanted = (data.get("dataset_prompt_column", "prompt"), data.get("dataset_completion_column", "completion"))
    for column in wanted:
        if column not in frame.columns and "messages" not in frame.columns:
            raise RecipeError(f"{path}: no column '{column}'; it has {', '.join(frame.columns)}")
    return frame.height


def tokens_per_example(data: Mapping[str, Any], model: str, seed: int) -> float:
    """Return the mean number of tokens of prompt and completion together, over up to 1,000 examples.

    Raises
    ------
    RecipeError
        If the base model has no ``tokenizer.json`` on this machine, or the source cannot be read here: then the file
        must say it.
    """
    path = Path(model) / "tokenizer.json"
    if not path.is_file():
        raise RecipeError(f"{model} has no tokenizer.json here to count with; give tokens_per_example")
    tokenizer = require("tokenizers").Tokenizer.from_file(str(path))
    texts = list(islice(_texts(data, seed), _MEASURED))
    return sum(len(entry.ids) for entry in tokenizer.encode_batch(texts)) / len(texts)


def _texts(data: Mapping[str, Any], seed: int) -> Iterator[str]:
    if "dataset_name" not in data:
        for problem in Mixture.from_mapping({"sources": [dict(data)]}).problems(200, split="train", seed=seed):
            yield problem.prompt + problem.completion
        return
    if not data["dataset_name"].endswith(FILES):
        raise RecipeError(f"{data['dataset_name']} is not on this machine; give tokens_per_example")
    columns = (data.get("dataset_prompt_column", "prompt"), data.get("dataset_completion_column", "completion"))
    frame = _read(data)
    step = max(1, frame.height // _MEASURED)
    for row in frame.gather_every(step).iter_rows(named=True):
        parts = [row.get(column) for column in columns] if columns[0] in row else row["messages"]
        yield " ".join(str(part.get("content", "")) if isinstance(part, dict) else str(part) for part in parts)


def _read(data: Mapping[str, Any]) -> pl.DataFrame:
    path = data["dataset_name"]
    try:
        if path.endswith(".parquet"):
            return read_parquet(path)
        if (packed := packing_of(Path(path))) is not None:  # polars would unpack it without a limit
            raise InvalidDataError(f"it is compressed with {packed}, unpack it")
        if path.endswith(".json"):
            return pl.read_json(path)
        return pl.read_ndjson(path, infer_schema_length=None) if Path(path).stat().st_size else pl.DataFrame()
    except (OSError, InvalidDataError, pl.exceptions.PolarsError) as error:
        raise RecipeError(f"{path}: cannot be read as JSON lines or Parquet: {str(error).splitlines()[0]}") from None
