"""Deferred import of optional dependencies, with an error that says what to install."""

from importlib import import_module
from types import ModuleType

from quagpredict.errors import MissingExtraError

_EXTRA_OF = {
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
}


def require(module: str) -> ModuleType:
    """Import `module`, or say which extra provides it.

    Parameters
    ----------
    module : str
        Dotted name, e.g. ``"transformers"``.

    Returns
    -------
    module

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
        extra = _EXTRA_OF.get(top)
        cure = f'pip install "quagpredict[{extra}]"' if extra else f"pip install {top}"
        raise MissingExtraError(f"this needs the package '{top}', which is not installed: {cure}") from None
