"""Loads a checkpoint's weights, whole or not at all.

transformers fills a tensor that the files lack with random numbers, skips one that the model has no place for, and says
so in a log line. What is measured then is another model.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM
from transformers.utils import logging as transformers_logging

from quagpredict.engines.tokens import cannot_be_loaded
from quagpredict.errors import CheckpointError

_NAMED = 3  # tensors that an error names
_ADVICE = "save the whole model again, or mend config.json"


def load_model(checkpoint: str | Path, *, revision: str | None = None, **settings: Any) -> Any:
    """Return the model of a checkpoint, in which every weight is the checkpoint's.

    Parameters
    ----------
    checkpoint : path or str
        Folder with ``config.json`` and safetensors, or a model of the Hugging Face hub.
    revision : str, optional
        Of a model of the hub.
    **settings
        Of transformers' ``from_pretrained``, e.g. ``dtype``.

    Raises
    ------
    CheckpointError
        If the files lack a tensor (one that is tied to another is not lacking), hold it in another shape, hold one
        that the config leaves no place for, or hold numbers that are not finite; or if they cannot be loaded.
    """
    model, loaded = _loaded(checkpoint, revision, settings)
    _check_names(checkpoint, model, loaded)
    for name, tensor in model.named_parameters():
        if not tensor.is_meta and not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"{checkpoint}: the tensor {name} holds NaN or infinity: training went astray there")
    return model


def check_tensors(checkpoint: str | Path) -> None:
    """Refuse what `load_model` refuses by name or shape, from the files' headers: no weight is read.

    A model that transformers has no class for is left to the engine that has.

    Raises
    ------
    CheckpointError
        As `load_model`.
    """
    model, loaded = _loaded(checkpoint, None, {"device_map": "meta"}, unknown_is_fine=True)
    if model is not None:
        _check_names(checkpoint, model, loaded)


def _loaded(
    checkpoint: str | Path, revision: str | None, settings: dict[str, Any], *, unknown_is_fine: bool = False
) -> tuple[Any, dict[str, Any]]:
    with _quiet():
        try:
            model, loaded = AutoModelForCausalLM.from_pretrained(
                checkpoint,
                revision=revision or "main",
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # reported, and refused here by name
                **settings,
            )
        except Exception as error:  # what configs, weights and kernels raise has no common base
            if unknown_is_fine and "Unrecognized configuration class" in str(error):
                return None, {}
            raise cannot_be_loaded(checkpoint, error) from error
    return model, loaded


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' table of what is missing off the terminal: the error says it in one line."""
    before = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(before)


def _check_names(checkpoint: str | Path, model: Any, loading_info: dict[str, Any]) -> None:
    if loading_info["missing_keys"]:
        raise CheckpointError(f"{checkpoint}: its weights lack {_listed(loading_info['missing_keys'])}: {_ADVICE}")
    if loading_info["mismatched_keys"]:
        name, is_there, expected = min(loading_info["mismatched_keys"])
        raise CheckpointError(
            f"{checkpoint}: the tensor {name} has the shape {tuple(is_there)}, its config asks for {tuple(expected)}: "
            f"{_ADVICE}"
        )
    if loading_info["error_msgs"]:
        raise cannot_be_loaded(checkpoint, ValueError("; ".join(loading_info["error_msgs"])))
    # Parts beside the language model (a value head, a vision tower) change nothing; more layers or biases do.
    parts = {_layer_blind(name) for name, _ in model.named_modules()}
    unused = [name for name in loading_info["unexpected_keys"] if _layer_blind(name.rpartition(".")[0]) in parts - {""}]
    if unused:
        raise CheckpointError(f"{checkpoint}: its config leaves no place for {_listed(unused)}: {_ADVICE}")


def _layer_blind(name: str) -> str:
    return re.sub(r"\.\d+(?=\.|$)", ".N", name)


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - _NAMED} more" if len(ordered) > _NAMED else ""
    return f"the tensor{'s' if len(ordered) > 1 else ''} {', '.join(ordered[:_NAMED])}{more}"
