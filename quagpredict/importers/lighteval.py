"""lighteval (huggingface/lighteval 010dc62 and later): ``details_TASK_DATE.parquet``, a row a document.

Columns are doc, metric, model_response (0.13), ``__doc__`` and so on (0.10 to 0.12), or before that gold, metrics,
predictions.
Verdicts of single samples are not kept: c follows from a metric that is a mean over the n samples, as pass@1 over n is.
"""

import ast
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from quagpredict.errors import InvalidDataError
from quagpredict.importers.reading import ProblemRow, Reading, Reported, json_object

_NAME = re.compile(r"details_(?P<task>.+)_(?P<date>\d{4}-\d\d-\d\dT[\d\-.]+)$")
_MEAN = re.compile(r"(?:math_)?pass@(?:k:k=)?1(?:$|[&:](?:n=)?(?P<n>\d+)(?:_samples)?)|avg@(?:n:n=|k:k=)?(?P<avg>\d+)")
_SINGLE = ("extractive_match", "math_verify", "exact_match", "em", "qem", "acc")


def recognises(path: Path) -> bool:
    """Say whether a Parquet file has the columns of details."""
    if path.suffix != ".parquet":
        return False
    import polars as pl

    names = set(pl.read_parquet_schema(path))
    return bool(names & {"model_response", "__model_response__"} or {"predictions", "metrics"} <= names)


def read(paths: Sequence[Path], *, metric: str | None = None) -> Reading:
    """Return the problems of the details files; `metric` names the verdict where there are several.

    Raises
    ------
    InvalidDataError
        If a file is no details file, or no metric is a mean over the samples of a document.
    """
    import polars as pl

    rows: list[ProblemRow] = []
    reported: list[Reported] = []
    settings: dict[str, Any] = {}
    for path in paths:
        found = _NAME.match(path.stem)
        task = found["task"] if found else path.stem
        try:
            records = pl.read_parquet(path, glob=False).to_dicts()
        except (OSError, pl.exceptions.PolarsError) as error:
            raise InvalidDataError(f"{path}: this is no valid Parquet file ({str(error).splitlines()[0]})") from None
        parsed = [_parsed(record, path) for record in records]
        if not parsed:
            raise InvalidDataError(f"{path}: the file has no row")
        name = metric or _mean_metric(parsed[0][1], path)
        settings["metric"] = name
        for number, (doc, metrics, texts) in enumerate(parsed):
            rows.append(_row(task, number, doc, metrics.get(name), texts, _MEAN.fullmatch(name) is not None))
        if found:
            results, general = _results(path, found["date"])
            settings |= {key: general[key] for key in ("temperature", "top_p", "max_new_tokens") if key in general}
            reported.extend(_reported(results, task, name))
    return Reading(rows, settings, reported)


def _parsed(record: dict[str, Any], path: Path) -> tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]:
    """Return doc, metrics and texts of a row of any version; values may have been written as Python's text of them."""
    values = {key.strip("_"): _literal(value) for key, value in record.items()}
    if "model_response" in values:
        response = values["model_response"] or {}
        doc, metrics, texts = values.get("doc") or {}, values.get("metric") or {}, response.get("text") or []
    elif "predictions" in values:
        doc, metrics, texts = {"gold": values.get("gold")}, values.get("metrics") or {}, values["predictions"] or []
    else:
        raise InvalidDataError(f"{path}: no column of responses; it has {', '.join(record)}")
    while len(texts) == 1 and isinstance(texts[0], list):
        texts = texts[0]
    return doc, metrics, tuple(map(str, texts))


def _literal(value: Any) -> Any:
    """Read what lighteval wrote by ``str`` because the rows would not fit one schema; literals only, nothing is run."""
    if isinstance(value, str) and value[:1] in "[{":
        try:
            return ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return value
    return value


def _mean_metric(metrics: dict[str, Any], path: Path) -> str:
    known = [name for name, value in metrics.items() if value is not None]
    for name in known:
        if _MEAN.fullmatch(name):
            return name
    single = next((name for name in _SINGLE if name in known), None)
    if single is None:
        raise InvalidDataError(f"{path}: no metric is a verdict; it has {', '.join(known)}: name one (--metric)")
    return single


def _row(task: str, number: int, doc: dict[str, Any], value: Any, texts: tuple[str, ...], is_mean: bool) -> ProblemRow:
    n = max(len(texts), 1)
    correct = None
    # A mean over n samples is a whole number of n-ths; what another metric says of several samples, nobody can tell.
    if (
        (is_mean or n == 1)
        and isinstance(value, int | float)
        and math.isclose(value * n, round(value * n), abs_tol=1e-6)
    ):
        correct = round(value * n)
    name = doc.get("id")
    return ProblemRow(task, str(number if name in (None, "") else name), n, correct, texts, _gold(doc))


def _gold(doc: dict[str, Any]) -> str | None:
    choices, index = doc.get("choices"), doc.get("gold_index")
    index = index[0] if isinstance(index, list) and index else index
    if isinstance(choices, list) and isinstance(index, int) and index < len(choices):
        return str(choices[index])
    gold = doc.get("gold")
    gold = gold[0] if isinstance(gold, list) and gold else gold
    return None if gold is None else str(gold)


def _results(path: Path, date: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the tool's results and generation parameters, from results/MODEL/results_DATE.json."""
    for folder in path.parents:
        if folder.name == "details":
            for file in sorted((folder.parent / "results").rglob(f"results_{date}.json")):
                whole = json_object(file)
                general = whole.get("config_general") or {}
                model = general.get("model_config") or {}
                parameters = general.get("generation_parameters") or model.get("generation_parameters") or {}
                return whole.get("results") or {}, parameters
    return {}, {}


def _reported(results: dict[str, Any], task: str, metric: str) -> Iterator[Reported]:
    for name in (task, task.replace("|", ":")):
        value = (results.get(name) or {}).get(metric)
        if isinstance(value, int | float):
            yield Reported(task, metric, 1, float(value), "the mean over documents of the metric that the details hold")
            return
