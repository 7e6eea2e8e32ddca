"""Quagmires: where the order of SFT checkpoints reverses after RL, by more than the noise of both."""

from typing import TYPE_CHECKING

from quagpredict.lazy import lazy_names

if TYPE_CHECKING:
    from quagpredict.quagmires.auditing import QuagmireAudit as QuagmireAudit
    from quagpredict.quagmires.auditing import audit as audit

__all__ = ["QuagmireAudit", "audit"]

__getattr__, __dir__ = lazy_names(__name__, dict.fromkeys(__all__, "auditing"))
