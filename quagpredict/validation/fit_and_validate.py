"""A surrogate that is to be kept: fitted, its intervals calibrated, and judged on the same rows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from quagpredict.arguments import check_arguments
from quagpredict.corpus import read_corpus
from quagpredict.corpus.weights import weighted
from quagpredict.surrogates import fit
from quagpredict.surrogates.feature_sets import Transforms
from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.kinds import Asked, asked
from quagpredict.validation.baselines import default_surrogates
from quagpredict.validation.conformal import with_calibration
from quagpredict.validation.report import ValidationReport
from quagpredict.validation.validating import MIN_CANDIDATES, validate


class ValidatedFit(NamedTuple):
    """A fitted surrogate and how far it can be trusted.

    Attributes
    ----------
    surrogate : FittedSurrogate
        With intervals as asked, and whether it was validated across bases.
    report : ValidationReport or None
        The validation on the same rows; None if none was asked for, or there are too few of them.
    name : str
        How the report calls the surrogate.
    notes : tuple of str
        What could not be done, and why.
    """

    surrogate: FittedSurrogate
    report: ValidationReport | None
    name: str
    notes: tuple[str, ...]


def fit_validated(
    corpus: Any,
    surrogate: str = "linear",
    features: str | Sequence[str] | None = None,
    target: str = "post_pass_at_1",
    *,
    transforms: Transforms | None = None,
    groups: str | None = None,
    split: str | None = "fit",
    seed: int = 0,
    intervals: Literal["conformal", "model"] = "conformal",
    repeats: int = 100,
    minimize: bool | None = None,
    weights: Mapping[str, float] | None = None,
    source: str = "corpus",
) -> ValidatedFit:
    """Fit a surrogate that is to be kept, and say how far it can be trusted.

    Parameters
    ----------
    corpus : source
        Finished runs, anything that `read_corpus` reads.
    surrogate, features, target, transforms, groups, split, seed, weights, source
        As for `quagpredict.fit`.
    intervals : {"conformal", "model"}
        As wide as left-out rows ask for, or what the surrogate believes of itself.
    repeats : int
        Random halves of the validation; 0 leaves it out.
    minimize : bool, optional
        Whether the lowest target is best; by default for losses of the schema.

    Returns
    -------
    ValidatedFit

    Raises
    ------
    CorpusError, IncomparableError, UsageError
        As `quagpredict.fit` and `quagpredict.validate`.

    Examples
    --------
    >>> from quagpredict.testing.synthetic import synthetic_corpus
    >>> made = fit_validated(synthetic_corpus(30, seed=1).frame, repeats=2)
    >>> made.name, made.surrogate.calibration is not None, made.report is not None
    ('linear:both', True, True)
    """
    check_arguments(fit_validated, locals())
    spec = asked(surrogate, features, transforms)
    frame = read_corpus(corpus)
    frame = weighted(frame, weights, source=source) if weights else frame
    settings: dict[str, Any] = {
        "features": spec.features or "both",
        "transforms": spec.transforms or "identity",
        "groups": groups,
        "seed": seed,
        "split": split,
    }
    fitted = replace(fit(frame, spec.kind, target=target, source=source, **settings), weights=dict(weights or {}))
    if intervals == "conformal":
        fitted = with_calibration(fitted, frame, **settings)
    notes = []
    if fitted.calibration is not None and not fitted.calibration.by_group and fitted.training_rows < 9:
        notes.append(f"intervals are {fitted.calibration.method}")
    name, report = _name(spec), None
    if repeats > 0 and fitted.training_rows < MIN_CANDIDATES:
        notes.append(f"not validated: {fitted.training_rows} finished candidates, {MIN_CANDIDATES} are needed for that")
    elif repeats > 0:
        report = validate(
            frame,
            [name, *default_surrogates(frame)],
            target=target,
            groups=groups,
            repeats=repeats,
            seed=seed,
            minimize=minimize,
            split=split,
        )
        fitted = replace(fitted, cross_base_validated=report.carries_across_bases(name))
    return ValidatedFit(fitted, report, name, tuple(notes))


def _name(spec: Asked) -> str:
    """Return how the validation calls what is fitted here."""
    if spec.kind == "mean":
        return "mean"
    features = spec.features or "both"
    named = features if isinstance(features, str) else "+".join(features)
    return f"{spec.kind}:{named}" + (":log-logit" if spec.transforms == "log-logit" else "")
