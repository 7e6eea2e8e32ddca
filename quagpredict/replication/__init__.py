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

__getattr__, __dir__, __all__ = lazy_names(__name__)
