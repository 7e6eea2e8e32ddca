"""Which version of quagpredict this is, also where it runs from a tree that was never installed."""

from functools import cache
from pathlib import Path


@cache
def own_version() -> str:
    """Return the version: of the installed package, else of the ``pyproject.toml`` beside it, else ``"unknown"``.

    Examples
    --------
    >>> own_version().count(".")
    2
    """
    from importlib.metadata import PackageNotFoundError, version  # slow to import, and rarely asked for

    try:
        return version("quagpredict")
    except PackageNotFoundError:
        return version_of_tree(Path(__file__).resolve().parents[1])


def version_of_tree(root: Path) -> str:
    """Return the version that a checkout's ``pyproject.toml`` states; "unknown" if there is none of ours.

    Examples
    --------
    >>> version_of_tree(Path("no/such/folder"))
    'unknown'
    """
    import tomllib

    try:
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        return str(project["version"]) if project["name"] == "quagpredict" else "unknown"
    except (OSError, ValueError, KeyError, TypeError):
        return "unknown"
