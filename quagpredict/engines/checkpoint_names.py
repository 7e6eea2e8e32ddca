"""A checkpoint by name: a local folder, or a model of the Hugging Face hub."""

import re
from pathlib import Path
from typing import NamedTuple

from quagpredict.errors import UsageError
from quagpredict.optional import require
from quagpredict.shipped import shipped_or_given

_HUB_ID = re.compile(r"(?P<id>[\w.-]+/(?P<name>[\w.-]+?))(@(?P<revision>[\w./-]+))?", re.ASCII)
# What measuring reads: no second copy of the weights in another format, no files of other frameworks.
_NEEDED = ("*.safetensors", "pytorch_model*.bin", "*.json", "*.jinja", "*.model", "merges.txt")
_NOT_NEEDED = ("*/*",)


class CheckpointFolder(NamedTuple):
    """Where a checkpoint lies, and what it is called."""

    folder: Path
    name: str


def checkpoint_folder(checkpoint: str | Path) -> CheckpointFolder:
    """Return the folder of a checkpoint; a model of the hub is downloaded, or found in the hub's cache.

    A name that is a folder, also a shipped one, is that folder. Else ``organisation/model`` or
    ``organisation/model@revision`` is a model of the hub, unless a folder ``organisation`` lies here: then it is a path
    that is wrong.

    Parameters
    ----------
    checkpoint : path or str
        A folder, or the hub's id of a model.

    Returns
    -------
    CheckpointFolder

    Raises
    ------
    UsageError
        If there is no such folder and no such model, or it cannot be had from here.
    MissingExtraError
        For a model of the hub, if the extra ``train`` is not installed.

    Examples
    --------
    >>> checkpoint_folder("datasets/lab-pilot/bases/weak").name
    'weak'
    """
    folder = shipped_or_given(checkpoint)
    if folder.is_dir():
        return CheckpointFolder(folder, folder.resolve().name)
    hub = _HUB_ID.fullmatch(str(checkpoint))
    if hub is None or folder.parent.is_dir():
        raise UsageError(f"{checkpoint}: there is no such folder")
    known = require("huggingface_hub")
    try:
        found = known.snapshot_download(
            hub["id"], revision=hub["revision"], allow_patterns=list(_NEEDED), ignore_patterns=list(_NOT_NEEDED)
        )
    except Exception as error:  # the client's errors, and those of what it downloads with, have no common base
        raise UsageError(f"{checkpoint}: there is no such folder, nor does the hub give it: {_said(error)}") from None
    return CheckpointFolder(Path(found), hub["name"])


def _said(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
