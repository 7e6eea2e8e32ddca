"""Columns that are nearly one of the schema's: a table from elsewhere often names them a little otherwise."""

from collections.abc import Iterable
from difflib import get_close_matches

from quagpredict.schema import BY_NAME

_FEATURES = tuple(name for name in BY_NAME if name.startswith("pre_"))
_SHORT = {"loss": "pre_held_out_loss_nats", "held_out_loss": "pre_held_out_loss_nats", "base": "base_model"}


def near_names(columns: Iterable[str]) -> dict[str, str]:
    """Return column -> name of the schema that is probably meant, for columns that the schema does not know.

    Examples
    --------
    >>> near_names(["candidate", "pass_at_64", "pre_pass_at64", "loss", "web_share"])
    {'pass_at_64': 'pre_pass_at_64', 'pre_pass_at64': 'pre_pass_at_64', 'loss': 'pre_held_out_loss_nats'}
    """
    there = [*columns]
    meanings = {}
    for name in there:
        if name in BY_NAME or name.startswith(("pre_pass_at_", "recipe_", "cost_")):
            continue
        close = get_close_matches(name, _FEATURES, 1, cutoff=0.9)
        meant = f"pre_{name}" if f"pre_{name}" in BY_NAME else _SHORT.get(name) or (close[0] if close else "")
        if meant and meant not in there:
            meanings[name] = meant
    return meanings
