"""Quagmires: where the order of SFT checkpoints reverses after RL, by more than the noise of both."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quagpredict.quagmires.auditing import QuagmireAudit as QuagmireAudit
    from quagpredict.quagmires.auditing import audit as audit

__all__ = ["QuagmireAudit", "audit"]


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.auditing"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
