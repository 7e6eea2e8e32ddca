"""What a checkpoint is: a folder by its name or a model of the Hugging Face hub, and the digest of what it holds."""

import re
from pathlib import Path
from typing import NamedTuple

from quagpredict.errors import CheckpointError, RecipeError, UsageError
from quagpredict.files import digest, file_digest
from quagpredict.optional import require
from quagpredict.run_record import RECORD_NAME
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
    hub_library = require("huggingface_hub")
    try:
        snapshot = hub_library.snapshot_download(
            hub["id"], revision=hub["revision"], allow_patterns=list(_NEEDED), ignore_patterns=list(_NOT_NEEDED)
        )
    except Exception as error:  # the client's errors, and those of what it downloads with, have no common base
        raise UsageError(f"{checkpoint}: there is no such folder, nor does the hub give it: {_said(error)}") from None
    return CheckpointFolder(Path(snapshot), hub["name"])


def weights_digest(checkpoint: str | Path) -> str:
    """Return one digest of a checkpoint's weights, tokenizer and config, whatever its folder is called.

    Raises
    ------
    quagpredict.errors.CheckpointError
        If the folder is missing, holds no ``config.json`` or no weights, a pickle of them alone, or an adapter alone.
    """
    folder = Path(checkpoint)
    if not folder.is_dir():
        raise CheckpointError(f"{checkpoint}: no such checkpoint folder")
    if (folder / "adapter_config.json").is_file():
        raise CheckpointError(f"{checkpoint}: holds an adapter; merge it into its base first (PEFT: merge_and_unload)")
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{checkpoint}: not a checkpoint: config.json is missing")
    weights = sorted({*folder.glob("*.safetensors"), *folder.glob("pytorch_model*.bin")})
    if not weights:
        raise CheckpointError(f"{checkpoint}: holds no weights (expected model.safetensors)")
    if all(path.suffix == ".bin" for path in weights):
        raise CheckpointError(
            f"{checkpoint}: holds its weights as a pickle alone ({weights[0].name}), which can run any program: load "
            "it where you trust it and save it as safetensors (save_pretrained does)"
        )
    # Every file at the top that can change what is computed, whatever kind of tokenizer it belongs to.
    described = [
        path
        for pattern in ("*.json", "*.jinja", "*.model", "merges.txt")
        for path in sorted(folder.glob(pattern))
        if path.name not in {RECORD_NAME, "trainer_state.json"}
    ]
    files = [*weights, *described]
    return digest({path.name: file_digest(path) for path in files})


def base_digest(model_name_or_path: str | None, revision: str | None = None) -> str:
    """Return the weights' digest of a local checkpoint, or name and revision of a model of the hub.

    Raises
    ------
    RecipeError
        If no model is named, or a path is given that is not there.
    CheckpointError
        If the folder is not a checkpoint.
    """
    if not model_name_or_path:
        raise RecipeError("the recipe names no model: give model_name_or_path")
    if Path(model_name_or_path).is_dir():
        return weights_digest(model_name_or_path)
    if model_name_or_path.count("/") > 1 or model_name_or_path.startswith((".", "/", "~")):
        raise RecipeError(f"model_name_or_path: '{model_name_or_path}' is no folder")
    return f"{model_name_or_path}@{revision or 'main'}"


def _said(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
