"""lm-evaluation-harness (EleutherAI 034ab03): ``samples_TASK_DATE.jsonl``, beside ``results_DATE.json``.

`lm_eval/evaluator.py` logs a line for each document *and filter*: doc_id, target, resps (all repeats), filtered_resps
(what the filter kept of them), filter, the names of the metrics and a value of each. With ``repeats`` and the default
filter, take_first, the value is that of the first response alone; the others are generated and never graded. Where the
filter keeps all of them, as that of HumanEval does, a value such as pass@1 is the mean over the repeats.
"""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from quagpredict.errors import InvalidDataError
from quagpredict.importers.files import stem_of
from quagpredict.importers.reading import Expected, ProblemRow, Reading, Reported, part_of, together
from quagpredict.importers.records import first_record, json_lines, json_object, need, section

_NAME = re.compile(r"samples_(?P<task>.+)_(?P<date>\d{4}-\d\d-\d\dT[\d\-.]+)$")
_PREFERRED = ("exact_match", "math_verify", "acc", "pass@1", "pass_at_1")
# The best or the most frequent of several: its value says nothing of single responses.
_OF_SEVERAL = re.compile(r"(?:pass|best|maj|cons)(?:@|_at_)(?:k|[0-9]*[02-9]|[0-9]+1)")
_MEAN_BY_NAME = re.compile(r"pass(?:@|_at_)1|avg@\d+|mean@\d+")
_SETTINGS = (
    *("temperature", "do_sample", "top_p", "top_k", "min_p"),
    *("max_gen_toks", "max_new_tokens", "max_tokens", "seed"),
)


class _Results(NamedTuple):
    """What ``results_DATE.json`` says of a task; empty where there is no such file."""

    name: str
    values: dict[str, Any]
    documents: int | None
    settings: dict[str, Any]


def recognises(path: Path) -> bool:
    """Say whether the first record has doc_id, resps and filtered_resps."""
    return {"doc_id", "resps", "filtered_resps"} <= first_record(path).keys()


def read(paths: Sequence[Path], *, filter: str | None = None, metric: str | None = None) -> Reading:
    """Return the problems of the samples files.

    Parameters
    ----------
    filter : str, optional
        Which filter's lines count; needed where a file has several, unless responses are graded again.
    metric : str, optional
        Which metric is the verdict; by default exact_match, math_verify, acc or pass@1, the first that is there.

    Raises
    ------
    InvalidDataError
        If no metric can be the verdict, or the records of a file were not drawn alike.
    """
    return together(_read(path, filter, metric) for path in paths)


def _read(path: Path, filter: str | None, metric: str | None) -> Reading:
    match = _NAME.match(stem_of(path))
    task = match["task"] if match else stem_of(path).removeprefix("samples_")
    filters, records = _of_filter(list(json_lines(path)), filter, path)
    chosen = filters[0]
    name = metric or _verdict_metric(records[0], path)
    means = _OF_SEVERAL.fullmatch(name) is None and _are_means(records, name)
    rows = [_row(task, record, name, means, path) for record in records]
    undecided = ""
    if len(filters) > 1 and any(row.c is not None for row in rows):
        rows = [row._replace(c=None) for row in rows]
        undecided = (
            f"{path}: it has verdicts of several filters ({', '.join(filters)}): choose one "
            f'(filter="{chosen}"), or have the responses graded again (`regrade`)'
        )
    results = _results(path, match["date"] if match else "", task)
    value = results.values.get(f"{name},{chosen}")
    reported = []
    if isinstance(value, int | float):
        how = "the mean of the filtered response of each document: of the first one, where it was repeated"
        reported = [Reported(task, f"{name},{chosen} in {results.name}", 1, float(value), how)]
    return Reading(
        part_of(rows),
        [_agreed(results, _settings(records, path), path)],
        reported,
        [] if results.documents is None else [Expected(task, results.documents, results.name)],
        stated=match is not None,
        graded_by=[f"{name},{chosen}"],
        undecided=undecided,
    )


def _of_filter(records: list[dict[str, Any]], filter: str | None, path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the filters that may be meant, and the records of the first: every filter has the same responses."""
    names = sorted({str(record.get("filter", "none")) for record in records})
    if not names:
        raise InvalidDataError(f"{path}: the file has no record")
    if filter is not None and filter not in names:
        raise InvalidDataError(f"{path}: no record has the filter '{filter}'; it has {', '.join(names)}")
    meant = names if filter is None else [filter]
    return meant, [record for record in records if str(record.get("filter", "none")) == meant[0]]


def _verdict_metric(record: dict[str, Any], path: Path) -> str:
    given = record.get("metrics")
    names = [name for name in given if isinstance(name, str)] if isinstance(given, list) else []
    names = names or [name for name in _PREFERRED if name in record]
    chosen = next((name for name in (*_PREFERRED, *names) if name in names and name in record), None)
    if chosen is None:
        raise InvalidDataError(f"{path}: no metric is a verdict; a record has {', '.join(record)}: name one (`metric`)")
    return str(chosen)


def _responses(record: dict[str, Any]) -> tuple[str, ...]:
    """Return all repeats; resps is a list for each request, and a task that generates has one request."""
    resps = record.get("resps")
    if not isinstance(resps, list) or (len(resps) > 1 and all(isinstance(response, list) for response in resps)):
        return ()  # log-likelihoods of the choices
    first = resps[0] if resps else []
    responses = first if isinstance(first, list) else resps
    return tuple(responses) if all(isinstance(text, str) for text in responses) else ()


def _kept(record: dict[str, Any]) -> int:
    """Return how many responses the filter kept."""
    kept = record.get("filtered_resps")
    if isinstance(kept, list) and kept:
        return len(kept[0]) if isinstance(kept[0], list) else len(kept)
    return 1


def _are_means(records: list[dict[str, Any]], metric: str) -> bool:
    """Say whether the values of a metric are means over the repeats."""
    several = [record for record in records if len(_responses(record)) > 1]
    if not several:
        return False
    if all(_kept(record) == len(_responses(record)) for record in several):
        return True
    return bool(_MEAN_BY_NAME.fullmatch(metric)) and any(record.get(metric) not in (0, 1) for record in several)


def _row(task: str, record: dict[str, Any], metric: str, means: bool, path: Path) -> ProblemRow:
    name, texts = str(need(record, "doc_id", path)), _responses(record)
    value = need(record, metric, path)
    if not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InvalidDataError(f"{path}: document {name}: '{metric}' is no verdict between 0 and 1 but {value!r:.60}")
    n = max(len(texts), 1)
    correct = None
    if n == 1 and value in (0, 1):
        correct = int(value)
    elif means and math.isclose(value * n, round(value * n), abs_tol=1e-6):
        correct = round(value * n)
    gold = record.get("target")
    return ProblemRow(task, name, n, correct, texts, None if gold is None else str(gold))


def _settings(records: list[dict[str, Any]], path: Path) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for record in records:
        given = section(record, "arguments", "gen_args_0", "arg_1")
        for key in _SETTINGS:
            if key in given and settings.setdefault(key, given[key]) != given[key]:
                raise InvalidDataError(
                    f"{path}: the records were not drawn alike: {key} is {settings[key]!r:.40} and, for document "
                    f"{record.get('doc_id')}, {given[key]!r:.40}"
                )
    return settings


def _agreed(results: _Results, drawn: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the settings of the records and of the results, which must be those of one run."""
    for key, value in results.settings.items():
        if key in drawn and str(drawn[key]) != str(value) and drawn[key] != value:
            raise InvalidDataError(
                f"{path}: the samples were drawn with {key} {drawn[key]!r:.40}, and {results.name} says {value!r:.40}: "
                "they are not of one run"
            )
    return results.settings | drawn


def _results(path: Path, date: str, task: str) -> _Results:
    file = path.with_name(f"results_{date}.json")
    if not date or not file.is_file():
        return _Results("", {}, None, {})
    whole = json_object(file)
    documents = section(whole, "n-samples", task).get("effective")
    overall = section(whole, "config", "gen_kwargs")
    of_task = section(whole, "configs", task, "generation_kwargs")
    settings = {key: value for key, value in (of_task | overall).items() if key in _SETTINGS and value is not None}
    settings |= {"model": whole["model_name"]} if whole.get("model_name") else {}
    return _Results(
        file.name, section(whole, "results", task), documents if isinstance(documents, int) else None, settings
    )
