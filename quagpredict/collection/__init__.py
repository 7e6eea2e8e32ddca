"""Collection: a plan's stages are run as programs of their own and written down in a ledger."""

from typing import TYPE_CHECKING

from quagpredict.lazy import lazy_names

if TYPE_CHECKING:
    from quagpredict.collection.collecting import Summary as Summary
    from quagpredict.collection.collecting import collect as collect
    from quagpredict.collection.planning import planned_commands as planned_commands

__all__ = ["Summary", "collect", "planned_commands"]

_HOME = {
    "Summary": "collecting",
    "collect": "collecting",
    "planned_commands": "planning",
}

__getattr__, __dir__ = lazy_names(__name__, _HOME)
