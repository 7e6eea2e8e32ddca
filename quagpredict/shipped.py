"""Where the files that ship beside the code are: in a checkout or in an installed wheel."""

import glob
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
    path = shipped_or_given(relative)
    if _exists(path):
        return path.resolve() if path == Path(relative) else path
    raise UsageError(
        f"'{relative}' was not found, neither as given nor among the files shipped with quagpredict ({shipped_root()})"
    )


def shipped_or_given(name: str | Path) -> Path:
    """Return the path of a shipped file or folder of that name if nothing lies at `name` itself; else `name`.

    For what a user names: whoever reads it says what is wrong with a name that is nowhere.

    Examples
    --------
    >>> shipped_or_given("no/such/file").as_posix()
    'no/such/file'
    """
    given = Path(name)
    if _is_shipped_name(given) and not _exists(given) and _exists(shipped_root() / given):
        return shipped_root() / given
    return given


def matches(name: str | Path) -> list[Path]:
    """Return what a path or a glob names, files and folders in order; nothing if it names nothing.

    What lies there as given comes first: the shipped files are looked through only where nothing does.

    Examples
    --------
    >>> [path.name for path in matches("models/*/card.md")][:1]
    ['card.md']
    """
    path = shipped_or_given(name)
    if _exists(path):
        return [path]
    if not glob.has_magic(str(name)):
        return []
    names = glob.glob(str(name), recursive=True)  # noqa: PTH207 - a glob may be absolute
    if not names and _is_shipped_name(path):
        names = glob.glob(str(shipped_root() / path), recursive=True)  # noqa: PTH207
    return sorted(path for path in map(Path, names) if path.exists())


def _is_shipped_name(path: Path) -> bool:
    return not path.is_absolute() and bool(path.parts) and path.parts[0] in FOLDERS and ".." not in path.parts


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that is too long or holds a NUL
        return False
