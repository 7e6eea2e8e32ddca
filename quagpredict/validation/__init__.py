"""How far a surrogate can be trusted: splits, scores, baselines, the noise ceiling and the report."""

from typing import TYPE_CHECKING

from quagpredict.lazy import lazy_names

if TYPE_CHECKING:
    from quagpredict.validation.fit_and_validate import ValidatedFit as ValidatedFit
    from quagpredict.validation.fit_and_validate import fit_validated as fit_validated
    from quagpredict.validation.report import ValidationReport as ValidationReport
    from quagpredict.validation.validating import validate as validate

__getattr__, __dir__, __all__ = lazy_names(__name__)
