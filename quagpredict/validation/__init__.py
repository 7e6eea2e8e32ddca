"""How far a surrogate can be trusted: splits, scores, baselines, the noise ceiling and the report."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quagpredict.validation.report import ValidationReport as ValidationReport
    from quagpredict.validation.validating import validate as validate

__all__ = ["ValidationReport", "validate"]

_HOME = {"ValidationReport": "report", "validate": "validating"}


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
