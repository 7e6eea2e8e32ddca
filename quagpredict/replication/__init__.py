"""What a corpus says about the paper's claims."""

from typing import TYPE_CHECKING

from quagpredict.lazy import lazy_names

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

__getattr__, __dir__ = lazy_names(__name__, _HOME)
