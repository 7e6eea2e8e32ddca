"""What a corpus says about the paper's claims."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quagpredict.replication.claims import Claim as Claim
    from quagpredict.replication.replicating import Replication as Replication
    from quagpredict.replication.replicating import replicate as replicate
    from quagpredict.replication.transfer import Corpus as Corpus
    from quagpredict.replication.transfer import transfer as transfer

__all__ = ["Claim", "Corpus", "Replication", "replicate", "transfer"]

_HOME = {
    "Claim": "claims",
    "Corpus": "transfer",
    "Replication": "replicating",
    "replicate": "replicating",
    "transfer": "transfer",
}


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
