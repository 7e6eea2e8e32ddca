"""Collection: a plan's stages are run as programs of their own and written down in a ledger."""

from typing import TYPE_CHECKING

from quagpredict.lazy import lazy_names

if TYPE_CHECKING:
    from quagpredict.collection.collecting import Summary as Summary
    from quagpredict.collection.collecting import collect as collect
    from quagpredict.collection.planning import planned_commands as planned_commands
    from quagpredict.collection.searching import check_search as check_search
    from quagpredict.collection.searching import search as search

__all__ = ["Summary", "check_search", "collect", "planned_commands", "search"]

_HOME = {
    "Summary": "collecting",
    "check_search": "searching",
    "collect": "collecting",
    "planned_commands": "planning",
    "search": "searching",
}

__getattr__, __dir__ = lazy_names(__name__, _HOME)
