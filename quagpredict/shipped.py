"""Where the files that ship beside the code are: in a checkout or in an installed wheel."""

from pathlib import Path

from quagpredict.errors import UsageError

FOLDERS = ("collectors", "training", "models", "datasets")


def shipped_root() -> Path:
    """Return the folder that holds ``collectors/``, ``training/``, ``models/`` and ``datasets/``.

    In a checkout that is the repository root; in a wheel the four are installed under ``quagpredict/_shipped``.

    Examples
    --------
    >>> (shipped_root() / "training").is_dir()
    True
    """
    package = Path(__file__).resolve().parent
    installed = package / "_shipped"
    return installed if installed.is_dir() else package.parent


def shipped_path(relative: str | Path) -> Path:
    """Return the path of a shipped file or folder, e.g. ``training/recipes/lab/sft.yaml``.

    A path that exists as given (absolute, or relative to the current folder) wins, so that a user's own file of the
    same relative name is taken before the shipped one.

    Raises
    ------
    UsageError
        If it exists neither as given nor among the shipped files.

    Examples
    --------
    >>> shipped_path("training/train_sft.py").name
    'train_sft.py'
    """
    given = Path(relative)
    if given.exists():
        return given.resolve()
    candidate = shipped_root() / given
    if not given.is_absolute() and given.parts and given.parts[0] in FOLDERS and candidate.exists():
        return candidate
    raise UsageError(
        f"'{relative}' was not found, neither as given nor among the files shipped with quagpredict ({shipped_root()})"
    )
