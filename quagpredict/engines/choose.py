"""Which engine measures: named or chosen by what is installed, on one device or on several."""

import inspect
from pathlib import Path
from typing import Any

from quagpredict.engines.contract import Engine
from quagpredict.engines.table import AUTO, check_installed, engine_class, installed_version, is_installed, require_vllm
from quagpredict.errors import UsageError
from quagpredict.nearest import did_you_mean
from quagpredict.optional import require


def load_engine(
    name: str, checkpoint: str | Path, *, workers: int = 1, ray: str | None = None, **settings: Any
) -> Engine:
    """Load a checkpoint into the named engine.

    Parameters
    ----------
    name : {"auto", "transformers", "vllm"}
        auto is vLLM where it is installed and runs on CUDA, else transformers.
    checkpoint : path
        Folder with ``config.json``, weights and tokenizer.
    workers : int
        Processes that share the work, each with GPUs of its own where there are any.
    ray : str, optional
        Address of a Ray cluster, as `quagpredict.engines.ray_cluster.join` takes it: the workers are actors there.
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
    kind = engine_class(chosen)
    settings_of_kind = [
        key for key, parameter in inspect.signature(kind).parameters.items() if parameter.kind is parameter.KEYWORD_ONLY
    ]
    for key in settings:
        if key not in settings_of_kind:
            hint = did_you_mean(key, settings_of_kind, rest=f"; known are {', '.join(settings_of_kind)}")
            raise UsageError(f"engine '{chosen}': unknown setting '{key}'{hint}")
    if workers == 1 and ray is None:
        engine: Engine = kind(checkpoint, **settings)
        return engine
    from quagpredict.engines.parallel import ParallelEngine

    return ParallelEngine(chosen, checkpoint, workers=workers, settings=settings, ray=ray)


def check_engine(name: str) -> None:
    """Refuse an engine that is unknown or not installed, at no cost: nothing is imported.

    Raises
    ------
    UsageError
        For an unknown name.
    MissingExtraError
        If it is named and not installed. Whether it runs shows when it is loaded.

    Examples
    --------
    >>> check_engine("abacus")
    Traceback (most recent call last):
    quagpredict.errors.UsageError: unknown engine 'abacus'; known are auto, transformers, ...
    """
    if name != AUTO:
        check_installed(name)


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
    if name != AUTO:
        return name
    if not is_installed("vllm"):
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
    return installed_version(chosen_engine(name))
