"""Which engine measures: named or chosen by what is installed, on one device or on several."""

import inspect
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from quagpredict.engines.contract import Engine
from quagpredict.engines.vllm_install import missing_vllm, require_vllm, vllm_is_there, vllm_version
from quagpredict.errors import UsageError
from quagpredict.optional import require

ENGINES = ("auto", "transformers", "vllm")


def load_engine(name: str, checkpoint: str | Path, *, workers: int = 1, **settings: Any) -> Engine:
    """Load a checkpoint into the named engine.

    Parameters
    ----------
    name : {"auto", "transformers", "vllm"}
        auto is vLLM where it is installed and runs on CUDA, else transformers.
    checkpoint : path
        Folder with ``config.json``, weights and tokenizer.
    workers : int
        Processes that share the work, each with GPUs of its own where there are any.
    **settings
        The engine's own, e.g. ``batch_size``, or ``gpu_memory_utilization`` of vLLM. They are matters of speed and
        memory, but for ``dtype``, which rounds.

    Returns
    -------
    Engine
        Close it when done: `contextlib.closing` does.

    Raises
    ------
    UsageError
        For an unknown name or setting, fewer than one worker, more workers than GPUs, or an engine that cannot run
        here.
    MissingExtraError
        If the engine is not installed.
    CheckpointError
        If the folder is not a checkpoint that the engine can load.

    Examples
    --------
    >>> from contextlib import closing
    >>> from quagpredict.engines.contract import Request, Sampling
    >>> from quagpredict.shipped import shipped_path
    >>> with closing(load_engine("transformers", shipped_path("datasets/lab-pilot/bases/weak"))) as engine:
    ...     asked = [Request("example", engine.encode_prompt("3+4="), first=0, samples=2)]
    ...     ((position, responses),) = engine.generate(asked, Sampling(max_new_tokens=40))
    >>> position, len(responses)
    (0, 2)
    """
    chosen = chosen_engine(name)
    if workers < 1:
        raise UsageError(f"workers must be at least 1, got {workers}")
    for package in ("torch", "transformers"):
        require(package)
    kind: Any
    if chosen == "vllm":
        from quagpredict.engines.vllm_engine import VLLMEngine

        kind = VLLMEngine
    else:
        from quagpredict.engines.transformers_engine import TransformersEngine

        kind = TransformersEngine
    known = [key for key, one in inspect.signature(kind).parameters.items() if one.kind is one.KEYWORD_ONLY]
    for key in settings:
        if key not in known:
            raise UsageError(f"engine '{chosen}': unknown setting '{key}'; known are {', '.join(known)}")
    if workers == 1:
        engine: Engine = kind(checkpoint, **settings)
        return engine
    from quagpredict.engines.parallel import ParallelEngine

    return ParallelEngine(chosen, checkpoint, workers=workers, settings=settings)


def check_engine(name: str) -> None:
    """Refuse an engine that is unknown or not installed, at no cost: nothing is imported.

    Raises
    ------
    UsageError
        For an unknown name.
    MissingExtraError
        If vLLM is asked for and not installed. Whether it runs shows when it is loaded.

    Examples
    --------
    >>> check_engine("abacus")
    Traceback (most recent call last):
    quagpredict.errors.UsageError: unknown engine 'abacus'; known are auto, transformers, vllm
    """
    if name not in ENGINES:
        raise UsageError(f"unknown engine '{name}'; known are {', '.join(ENGINES)}")
    if name == "vllm" and not vllm_is_there():
        raise missing_vllm()


def chosen_engine(name: str) -> str:
    """Return the engine that a name stands for: itself, but for ``auto``.

    Raises
    ------
    UsageError
        For an unknown name.
    MissingExtraError
        If the engine is not installed.

    Examples
    --------
    >>> chosen_engine("transformers")
    'transformers'
    """
    check_engine(name)
    if name != "auto":
        return name
    if not vllm_is_there():
        return "transformers"
    torch = require("torch")
    # A vLLM that is broken on a machine with a GPU is said, not passed over: the other engine would take many times
    # as long.
    return "vllm" if torch.cuda.is_available() and require_vllm().device_type == "cuda" else "transformers"


def engine_version(name: str) -> str:
    """Return the version of an installed engine, as its `Engine.version`, without importing it.

    Raises
    ------
    UsageError
        For an unknown name.
    MissingExtraError
        If the engine is not installed.

    Examples
    --------
    >>> engine_version("transformers").split(".")[0]
    '5'
    """
    chosen = chosen_engine(name)
    return vllm_version() if chosen == "vllm" else _version(chosen)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # on the path, and not installed: its metadata is provenance, not needed to draw
        return "unknown"
