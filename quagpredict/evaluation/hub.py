"""Problems from the Hugging Face hub, read by `datasets`: the one module outside the engines that uses it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quagpredict.errors import RecipeError
from quagpredict.optional import require


@dataclass(frozen=True)
class HubSource:
    """A split of a data set.

    Parameters
    ----------
    id : str
        Repository on the hub, ``owner/name``, or a folder with the layout of one (relative to the suite).
    split : str
    config : str, optional
        Configuration (subset); the data set's only or default one if None.
    revision : str, optional
        Commit, branch or tag. A commit makes what is read the same for good.
    """

    id: str
    split: str = "test"
    config: str | None = None
    revision: str | None = None


def hub_rows(source: HubSource, base: Path, where: str) -> list[Mapping[str, Any]]:
    """Return the rows of a split; the cache of `datasets` is used, and its offline mode.

    Parameters
    ----------
    source : HubSource
    base : Path
        Folder of the suite, for a repository that is a local folder.
    where : str
        Named in errors.

    Raises
    ------
    RecipeError
        If there is no such repository, configuration, split or revision, or it cannot be reached.
    MissingExtraError
        If `datasets` is not installed.
    """
    datasets = require("datasets")
    local = base / source.id
    path = str(local) if local.is_dir() else source.id
    named = f"hub {source.id}" + (f", config {source.config}" if source.config else "") + f", split {source.split}"
    shown = datasets.utils.is_progress_bar_enabled()
    datasets.utils.disable_progress_bars()
    try:
        # A folder has no revision of its own to choose from.
        revision = None if local.is_dir() else source.revision
        dataset = datasets.load_dataset(path, source.config, split=source.split, revision=revision)
        return [dict(row) for row in dataset]
    except Exception as error:  # what a hub, a proxy or a broken file can raise is not listed anywhere
        said = " ".join(str(error).split())[:300]
        raise RecipeError(f"{where}: {named}: cannot be read ({type(error).__name__}: {said})") from None
    finally:
        if shown:
            datasets.utils.enable_progress_bars()
