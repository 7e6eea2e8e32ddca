"""NeMo RL (NVIDIA-NeMo/RL 05056d0): ``val_data_stepN.jsonl`` of GRPO, ``evaluation_data.json`` of its evaluation.

The validation (`nemo_rl/algorithms/grpo.py`) logs a line a sample: content (a list of one list of messages), rewards (a
list of one), idx. How they were drawn is in the config of the Weights & Biases run in the same folder, if there is one.
The evaluation (`nemo_rl/evals/eval.py`) writes prompt, response, reward of each sample, and beside them ``config.json``
with dataset_name, temperature, top_p, top_k, num_tests_per_prompt; a limit of tokens it does not keep.
"""

import re
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

import polars as pl

from quagpredict.errors import InvalidDataError
from quagpredict.importers.files import suffix_of
from quagpredict.importers.reading import Expected, Reading, together
from quagpredict.importers.records import as_text, chosen, first_record, json_lines, json_object, need, wandb_config
from quagpredict.importers.samples import reading_of

_NAME = "nemo-rl"
_STEP = re.compile(r"val_data_step(\d+)")
_SETTINGS = ("temperature", "top_p", "top_k")
_IN_RUN = {"temperature": "temperature", "top_p": "top_p", "top_k": "top_k", "max_new_tokens": "max_new_tokens"}
_SCHEMA = dict.fromkeys(("id", "response", "correct"), pl.String())


def recognises(path: Path) -> bool:
    """Say whether a file is a log of validation or the data of an evaluation."""
    if suffix_of(path) == ".json":
        return isinstance(json_object(path).get("evaluation_data"), list)
    return {"content", "rewards", "idx"} <= first_record(path).keys()


def read(paths: Sequence[Path], *, threshold: float | None = None) -> Reading:
    """Return the problems of the files; a prompt is a problem.

    Parameters
    ----------
    threshold : float, optional
        From which reward on a sample is correct; without it only 0 and 1 are verdicts.

    Raises
    ------
    InvalidDataError
        If a record has no messages or no reward, or a reward is not a verdict.
    """
    return together(_read(path, threshold) for path in paths)


def _read(path: Path, threshold: float | None) -> Reading:
    expected = []
    if suffix_of(path) == ".json":
        rows, benchmark, drawn_with, samples_each = _evaluation(path)
        expected = [Expected(benchmark or _NAME, 0, "config.json", samples_each)]
    else:
        rows, benchmark = [_validated(record, path) for record in json_lines(path)], None
        drawn_with = chosen(wandb_config(path), _IN_RUN, "policy", "generation")
        if match := _STEP.search(path.name):
            drawn_with |= {"step": match[1]}
    samples = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
    rest = {"settings": [drawn_with], "expected": expected, "stated": benchmark is not None}
    return reading_of(samples, path, benchmark or _NAME, "reward", threshold, **rest)


def _validated(record: dict[str, Any], path: Path) -> tuple[str, str, str | None]:
    """Return prompt, response and reward of a line: what stands before the assistant's first turn is the prompt."""
    messages, rewards = need(record, "content", path), need(record, "rewards", path)
    while isinstance(messages, list) and len(messages) == 1 and isinstance(messages[0], list):
        messages = messages[0]
    if not isinstance(messages, list) or not all(
        isinstance(message, dict) and "role" in message for message in messages
    ):
        raise InvalidDataError(
            f"{path}: 'content' must be messages with roles, as the validation logs them (val_data_stepN.jsonl); got "
            f"{messages!r:.60}"
        )
    if not isinstance(rewards, list) or len(rewards) != 1:
        raise InvalidDataError(f"{path}: 'rewards' must be a list of one reward, got {rewards!r:.60}")
    first = next((index for index, message in enumerate(messages) if message["role"] == "assistant"), len(messages))
    prompt = "\n".join(f"{message['role']}: {message.get('content')}" for message in messages[:first])
    response = "\n".join(
        str(message.get("content") or "") for message in messages[first:] if message["role"] == "assistant"
    )
    return prompt, response, as_text(rewards[0])


def _evaluation(path: Path) -> tuple[list[tuple[str, str, str | None]], str | None, dict[str, Any], int | None]:
    """Return the samples of an evaluation, the name of its benchmark, its settings, and the samples of each prompt."""
    rows = []
    for record in json_object(path)["evaluation_data"]:
        if not isinstance(record, dict):
            raise InvalidDataError(f"{path}: a sample must be a JSON object, got {record!r:.60}")
        prompt, response, reward = (need(record, key, path) for key in ("prompt", "response", "reward"))
        rows.append((as_text(prompt) or "", as_text(response) or "", as_text(reward)))
    file = path.with_name("config.json")
    config = json_object(file) if file.is_file() else {}
    name = config.get("dataset_name")
    drawn_with = {key: config[key] for key in _SETTINGS if config.get(key) is not None}
    each = config.get("num_tests_per_prompt")
    benchmark = PurePath(name).name if isinstance(name, str) and name else None
    return rows, benchmark, drawn_with, each if isinstance(each, int) else None
