"""What a corpus says about the paper's claims."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quagpredict.replication.claims import Claim as Claim
    from quagpredict.replication.replicating import Replication as Replication
    from quagpredict.replication.replicating import replicate as replicate

__all__ = ["Claim", "Replication", "replicate"]

_HOME = {"Claim": "claims", "Replication": "replicating", "replicate": "replicating"}


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
