"""Public names of a package that are imported when they are first used."""

import re
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

_NAME = re.compile(r"^    from (\S+) import (\w+) as \2$", re.MULTILINE)


def lazy_names(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` (PEP 562) and ``__all__`` of a package.

    The names stand once, where type checkers read them: in the package's own imports under ``TYPE_CHECKING``, one a
    line, ``from MODULE import NAME as NAME``.

    Parameters
    ----------
    package : str
        Its ``__name__``.

    Examples
    --------
    >>> getattr_of, dir_of, names = lazy_names("quagpredict")
    >>> getattr_of("rank").__module__, "rank" in names
    ('quagpredict.ranking.ranker', True)
    """
    spec = sys.modules[package].__spec__
    source = spec.loader.get_source(package) if spec is not None and spec.loader is not None else None  # type: ignore[attr-defined]
    homes = {name: module for module, name in _NAME.findall(source or "")}

    def imported(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(homes[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    def listed() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return imported, listed, sorted(homes)
