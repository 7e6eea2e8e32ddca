"""Deferred import of optional dependencies, with an error that says what to install."""

from importlib import import_module
from pathlib import Path
from types import ModuleType

from quagpredict.errors import MissingExtraError

#: Package -> the extra that brings it.
EXTRA_OF = {
    "torch": "train",
    "transformers": "train",
    "huggingface_hub": "train",
    "trl": "train",
    "datasets": "train",
    "accelerate": "train",
    "math_verify": "grade",
    "inspect_ai": "inspect",
    "vllm": "vllm",
    "matplotlib": "plot",
    "psycopg2": "postgresql",
    "shtab": "completion",
    "ray": "ray",
    "mlflow": "mlflow",
}


def install_line(extra: str) -> str:
    """Return the command that installs an extra, also where the package itself is a checkout that no index has.

    Examples
    --------
    >>> "quagpredict" in install_line("train") or "-e" in install_line("train")
    True
    """
    root = Path(__file__).resolve().parents[1]
    if (root / "pyproject.toml").is_file():
        here = "." if root == Path.cwd() else str(root)
        return f'pip install -e "{here}[{extra}]"'
    return f'pip install "quagpredict[{extra}]"'


def require(module: str) -> ModuleType:
    """Import `module`, or say which extra provides it.

    Parameters
    ----------
    module : str
        Dotted name, e.g. ``"transformers"``.

    Raises
    ------
    MissingExtraError
        If the module cannot be found. A module that is found but fails to import keeps its own error.

    Examples
    --------
    >>> require("json").dumps([1])
    '[1]'
    """
    top = module.partition(".")[0]
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != top:
            raise
        extra = EXTRA_OF.get(top)
        cure = install_line(extra) if extra else f"pip install {top}"
        raise MissingExtraError(f"this needs the package '{top}', which is not installed: {cure}") from None
