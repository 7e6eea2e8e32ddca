"""lighteval (huggingface/lighteval 010dc62 and later): ``details_TASK_DATE.parquet``, a row a document.

Columns are doc, metric, model_response (0.13), ``__doc__`` and so on (0.10 to 0.12), or before that gold, metrics,
predictions.
Verdicts of single samples are not kept: c follows from a metric that is a mean over the n samples, as pass@1 over n is.
"""

import ast
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from quagpredict.errors import InvalidDataError
from quagpredict.importers.files import stem_of, suffix_of
from quagpredict.importers.reading import Expected, ProblemRow, Reading, Reported, part_of, together
from quagpredict.importers.records import json_object, section
from quagpredict.parquet import parquet_columns, read_parquet

_NAME = re.compile(r"details_(?P<task>.+)_(?P<date>\d{4}-\d\d-\d\dT[\d\-.]+)$")
_MEAN = re.compile(r"(?:math_)?pass@(?:k:k=)?1(?:$|[&:](?:n=)?(?P<n>\d+)(?:_samples)?)|avg@(?:n:n=|k:k=)?(?P<avg>\d+)")
_SINGLE = ("extractive_match", "math_verify", "exact_match", "em", "qem", "acc")
_SETTINGS = ("temperature", "top_p", "top_k", "min_p", "max_new_tokens", "seed")


def recognises(path: Path) -> bool:
    """Say whether a Parquet file has the columns of details."""
    if suffix_of(path) != ".parquet":
        return False
    names = set(parquet_columns(path))
    return bool(names & {"model_response", "__model_response__"} or {"predictions", "metrics"} <= names)


def read(paths: Sequence[Path], *, metric: str | None = None) -> Reading:
    """Return the problems of the details files; `metric` names the verdict where there are several.

    By default the verdict is the metric that is a mean over as many samples as there are responses.

    Raises
    ------
    InvalidDataError
        If a file is no details file, no metric is a verdict, or the named one is a mean over another number of samples.
    """
    return together(_read(path, metric) for path in paths)


def _read(path: Path, metric: str | None) -> Reading:
    match = _NAME.match(stem_of(path))
    task = match["task"] if match else stem_of(path)
    try:
        records = read_parquet(path).to_dicts()
    except OSError as error:
        raise InvalidDataError(f"{path}: cannot be read ({error.strerror or error})") from None
    parsed = [_parsed(record, path) for record in records]
    if not parsed:
        raise InvalidDataError(f"{path}: the file has no row")
    n = Counter(len(texts) for *_, texts in parsed).most_common(1)[0][0]
    name = _named_metric(metric, parsed[0][1], n, path) if metric else _chosen_metric(parsed[0][1], n, path)
    means = _is_mean_over(name, n)
    rows = [
        _row(task, line, doc, metrics.get(name), texts, means, _samples(name) or 1)
        for line, (doc, metrics, texts) in enumerate(parsed)
    ]
    results, general, documents = _results(path, match["date"], task) if match else ({}, {}, None)
    return Reading(
        part_of(rows),
        [{key: general[key] for key in _SETTINGS if general.get(key) is not None}],
        list(_reported(results, task, name)),
        [Expected(task, documents, f"results_{match['date']}.json")] if documents is not None and match else [],
        stated=match is not None,
        graded_by=[name],
    )


def _parsed(record: dict[str, Any], path: Path) -> tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]:
    """Return doc, metrics and texts of a row of any version; values may have been written as Python's text of them."""
    values = {key.strip("_"): _literal(value) for key, value in record.items()}
    if "model_response" in values:
        texts = section(values, "model_response").get("text")
        doc, metrics = section(values, "doc"), section(values, "metric")
    elif "predictions" in values:
        doc, metrics, texts = {"gold": values.get("gold")}, section(values, "metrics"), values["predictions"]
    else:
        raise InvalidDataError(f"{path}: no column of responses; it has {', '.join(record)}")
    while isinstance(texts, list) and len(texts) == 1 and isinstance(texts[0], list):
        texts = texts[0]
    return doc, metrics, tuple(map(str, texts)) if isinstance(texts, list) else ()


def _literal(value: Any) -> Any:
    """Read what lighteval wrote by ``str`` because the rows would not fit one schema; literals only, nothing is run."""
    if isinstance(value, str) and value[:1] in "[{":
        try:
            return ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return value
    return value


def _samples(metric: str) -> int | None:
    """Return over how many samples a metric is a mean by its name; None where the name does not say it."""
    mean = _MEAN.fullmatch(metric)
    number = mean and (mean["n"] or mean["avg"])
    return int(number) if number else None


def _is_mean_over(metric: str, n: int) -> bool:
    return _MEAN.fullmatch(metric) is not None and _samples(metric) in (None, n or _samples(metric))


def _chosen_metric(metrics: dict[str, Any], n: int, path: Path) -> str:
    measured = [name for name, value in metrics.items() if value is not None]
    means = [name for name in measured if _is_mean_over(name, n)]
    # One that names its n before one that does not; without responses the one over most samples.
    best = max(means, key=lambda name: _samples(name) or 0, default=None)
    chosen = best or next((name for name in (*_SINGLE, *filter(_MEAN.fullmatch, measured)) if name in measured), None)
    if chosen is None:
        raise InvalidDataError(f"{path}: no metric is a verdict; it has {', '.join(measured)}: name one (`metric`)")
    return chosen


def _named_metric(metric: str, metrics: dict[str, Any], n: int, path: Path) -> str:
    if metric not in metrics:
        raise InvalidDataError(f"{path}: there is no metric '{metric}'; it has {', '.join(metrics)}")
    over = _samples(metric)
    if over is not None and n and over != n:
        raise InvalidDataError(
            f"{path}: the metric '{metric}' is a mean over {over} sample{'s' if over > 1 else ''}, and the file has "
            f"{n} responses to a problem: name the metric over all of them"
        )
    return metric


def _row(
    task: str, line: int, doc: dict[str, Any], value: Any, texts: tuple[str, ...], means: bool, named: int
) -> ProblemRow:
    n = len(texts) or (named if means else 1)
    correct = None
    # A mean over n samples is a whole number of n-ths; what another metric says of several samples, nobody can tell.
    if (
        (means or n == 1)
        and isinstance(value, int | float)
        and 0 <= value <= 1
        and math.isclose(value * n, round(value * n), abs_tol=1e-6)
    ):
        correct = round(value * n)
    name = doc.get("id")
    by_line = name in (None, "")
    return ProblemRow(task, str(line if by_line else name), n, correct, texts, _gold(doc), (), by_line)


def _gold(doc: dict[str, Any]) -> str | None:
    choices, index = doc.get("choices"), doc.get("gold_index")
    index = index[0] if isinstance(index, list) and index else index
    if isinstance(choices, list) and isinstance(index, int) and index < len(choices):
        return str(choices[index])
    gold = doc.get("gold")
    gold = gold[0] if isinstance(gold, list) and gold else gold
    return None if gold is None else str(gold)


def _results(path: Path, date: str, task: str) -> tuple[dict[str, Any], dict[str, Any], int | None]:
    """Return results, generation parameters and number of documents, from results/MODEL/results_DATE.json."""
    for folder in path.parents:
        if folder.name == "details":
            for file in sorted((folder.parent / "results").rglob(f"results_{date}.json")):
                whole = json_object(file)
                general = whole.get("config_general") or {}
                model = general.get("model_config") or {}
                parameters = model.get("generation_parameters") or general.get("generation_parameters") or {}
                config: dict[str, Any] = next(
                    filter(None, map((whole.get("config_tasks") or {}).get, _names(task))), {}
                )
                size = config.get("generation_size")
                budget = {"max_new_tokens": size} if isinstance(size, int) and size > 0 else {}
                documents = config.get("effective_num_docs")
                counted = documents if isinstance(documents, int) and documents > 0 else None
                return section(whole, "results"), budget | _given(parameters), counted
    return {}, {}, None


def _given(parameters: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in parameters.items() if value is not None}


def _names(task: str) -> tuple[str, ...]:
    """Return what the results call a task: colons for bars in older ones, the number of examples left out in others."""
    shorter = task.rpartition("|")[0]
    return tuple(filter(None, (task, task.replace("|", ":"), shorter, shorter.replace("|", ":"))))


def _reported(results: dict[str, Any], task: str, metric: str) -> Iterator[Reported]:
    for name in _names(task):
        value = section(results, name).get(metric)
        if isinstance(value, int | float):
            yield Reported(task, metric, 1, float(value), "the mean over documents of the metric that the details hold")
            return
