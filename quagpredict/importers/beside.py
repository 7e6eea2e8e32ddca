"""Settings that a trainer keeps beside its logs and not in them: Hydra's config, and that of a Weights & Biases run."""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from quagpredict.importers.records import section
from quagpredict.plans.reading import read_yaml

_HYDRA = Path(".hydra") / "config.yaml"
_WANDB = "wandb-metadata.json"  # stands beside the config.yaml of a run
_ABOVE = 4  # folders: NAME.table.json stands in files/media/table


def hydra_config(path: Path) -> dict[str, Any]:
    """Return the config of the Hydra run in whose folder a file stands, at most four folders above; else an empty one.

    Raises
    ------
    RecipeError
        If the config cannot be read.
    """
    folder = next((above for above in islice(path.resolve().parents, _ABOVE) if (above / _HYDRA).is_file()), None)
    return {} if folder is None else read_yaml(folder / _HYDRA)


def wandb_config(path: Path) -> dict[str, Any]:
    """Return the config of the Weights & Biases run in whose folder a file stands, or the only one logged beside it.

    Raises
    ------
    RecipeError
        If the config cannot be read.
    """
    above = list(islice(path.resolve().parents, _ABOVE))
    folders = [folder for folder in above if (folder / _WANDB).is_file()][:1]
    # A trainer's log folder has the runs in wandb/, or in wandb/wandb/, each in its own folder.
    folders = folders or sorted(
        {one.parent for depth in ("", "wandb/") for one in above[0].glob(f"wandb/{depth}*run-*/files/{_WANDB}")}
    )
    if len(folders) != 1 or not (folders[0] / "config.yaml").is_file():
        return {}
    values = read_yaml(folders[0] / "config.yaml")
    return {key: one["value"] for key, one in values.items() if isinstance(one, Mapping) and "value" in one}


def chosen(config: Mapping[str, Any], names: Mapping[str, str], *keys: str) -> dict[str, Any]:
    """Return the settings in a part of a config, by the names that they have here; none that are not set.

    Examples
    --------
    >>> chosen({"rollout": {"temperature": 1.0, "n": None}}, {"temperature": "temperature", "n": "samples"}, "rollout")
    {'temperature': 1.0}
    """
    part = section(config, *keys)
    values = {new: part.get(old) for old, new in names.items()}
    # "${...}" of Hydra stands for a value elsewhere.
    return {new: value for new, value in values.items() if isinstance(value, int | float)}
