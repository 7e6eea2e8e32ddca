"""What corpora say about the paper's claims."""

from typing import TYPE_CHECKING

from quagpredict.lazy import lazy_names

if TYPE_CHECKING:
    from quagpredict.replication.claims import Claim as Claim
    from quagpredict.replication.corpora import Replicated as Replicated
    from quagpredict.replication.corpora import replicate as replicate
    from quagpredict.replication.replicating import Replication as Replication
    from quagpredict.replication.replicating import replication_of as replication_of
    from quagpredict.replication.transfer import Corpus as Corpus
    from quagpredict.replication.transfer import transfer as transfer

__all__ = ["Claim", "Corpus", "Replicated", "Replication", "replicate", "replication_of", "transfer"]

_HOME = {
    "Claim": "claims",
    "Corpus": "transfer",
    "Replicated": "corpora",
    "Replication": "replicating",
    "replicate": "corpora",
    "replication_of": "replicating",
    "transfer": "transfer",
}

__getattr__, __dir__ = lazy_names(__name__, _HOME)
