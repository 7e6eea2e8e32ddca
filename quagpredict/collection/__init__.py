"""Collection: a plan's stages are run as programs of their own and written down in a ledger."""

from typing import TYPE_CHECKING

from quagpredict.lazy import lazy_names

if TYPE_CHECKING:
    from quagpredict.collection.collecting import collect as collect
    from quagpredict.collection.planning import planned_commands as planned_commands
    from quagpredict.collection.progress import Summary as Summary

__getattr__, __dir__, __all__ = lazy_names(__name__)
