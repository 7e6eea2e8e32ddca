"""What a fit of the hierarchical surrogate leaves behind: its form, with numpy alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.corpus.columns import benchmark_column, derived_of
from quagpredict.corpus.derived import with_derived
from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.forms import JointPrediction, TransformedPrediction, symmetric_root
from quagpredict.surrogates.hierarchy import BEFORE, Cells, Scores, Spreads, predicted
from quagpredict.surrogates.hierarchy_tables import TERMS, sampling_variance
from quagpredict.surrogates.json_object import JsonObject

Floats = NDArray[np.float64]

_MOST_WEIGHTS = 4000


@dataclass(frozen=True, eq=False)
class HierarchicalForm:
    """Scores by benchmark, mapped and weighted; see `quagpredict.surrogates.hierarchy`.

    The features are Pass@k of B benchmarks, the samples they rest on, the columns of T terms (one each, or B), and G
    indicators of the base, the last of any other base. Without knots there are no benchmarks among them and the score
    is one cell.

    Attributes
    ----------
    knots : array (k,)
    weights : array (B,)
        Of the benchmarks in the score.
    terms : tuple of str
        Columns of the terms.
    mean, covariance : array (q,), (q, q)
        Of the effects, see `quagpredict.surrogates.hierarchy.design`.
    spreads : array (9,)
    degrees_of_freedom, t_factor : float
    tries : float
        k of the Pass@k by benchmark that the map reads.
    """

    knots: Floats
    weights: Floats
    terms: tuple[str, ...]
    mean: Floats
    covariance: Floats
    spreads: Floats
    degrees_of_freedom: float
    t_factor: float
    tries: float = 1.0

    def predict(self, Z: Floats) -> TransformedPrediction:
        """Return the predictive mean and standard deviation at the features Z, (n, p)."""
        scores = self.scores(Z)
        return TransformedPrediction(
            scores.mean, self.t_factor * np.sqrt((scores.shared**2).sum(axis=1) + scores.own**2)
        )

    def joint(self, Z: Floats) -> JointPrediction:
        """Return how the predictions at Z err together: all share the error of the effects."""
        scores = self.scores(Z)
        return JointPrediction(scores.mean, self.t_factor * scores.shared, self.t_factor * scores.own)

    def seen(self, Z: Floats) -> Floats:
        """Return the logits of Pass@k by benchmark, and each column of the terms on its scale, (n, B + columns)."""
        B = self._benchmarks
        return np.column_stack([BEFORE.forward(Z[:, :B]), *_scaled_terms(Z[:, 2 * B :], self.terms, B)])

    def scores(self, Z: Floats) -> Scores:
        """Return the predictions, overall and by benchmark; NaN for a row with a NaN."""
        whole = np.asarray(np.isfinite(Z).all(axis=1))
        cells = to_cells(np.where(whole[:, None], Z, 0.5), self._benchmarks, self.terms, self.tries)
        root, spreads = symmetric_root(self.covariance), Spreads(*self.spreads.tolist())
        cell_scores = predicted(cells, self.knots, self.mean, root, spreads, self.weights)
        return Scores(*(np.where(whole if table.ndim == 1 else whole[:, None], table, np.nan) for table in cell_scores))

    @property
    def _benchmarks(self) -> int:
        return len(self.weights) if len(self.knots) else 0


def to_cells(Z: Floats, benchmarks: int, terms: Sequence[str], tries: float) -> Cells:
    """Return the cells that the features Z of a `HierarchicalForm` are; none but one where it has no benchmarks."""
    B = benchmarks
    share = Z[:, :B] if B else np.full((len(Z), 1), 0.5)
    variance = sampling_variance(share, Z[:, B : 2 * B] / tries) if B else np.zeros((len(Z), 1))
    columns = _scaled_terms(Z[:, 2 * B :], terms, B)
    member = Z[:, 2 * B + sum(table.shape[1] for table in columns) :]
    if not member.shape[1]:
        member = np.ones((len(Z), 1))
    tables = [np.broadcast_to(table, share.shape) for table in columns]
    return Cells(share, variance, np.stack(tables, axis=2) if tables else np.zeros((*share.shape, 0)), member)


def term_width(terms: Sequence[str], benchmarks: int) -> int:
    """Return how many columns terms have: one each, or one of each benchmark.

    Examples
    --------
    >>> term_width(["pre_problems[*].finished", "pre_held_out_loss_nats"], 4)
    5
    """
    return sum(benchmarks if TERMS[name].field else 1 for name in terms)


def _scaled_terms(values: Floats, terms: Sequence[str], benchmarks: int) -> list[Floats]:
    """Return the columns of each term on the scale on which they enter, (n, 1) or (n, B)."""
    tables, at = [], 0
    for name in terms:
        width = term_width([name], benchmarks)
        term = TERMS[name]
        tables.append(term.of(np.maximum(values[:, at : at + width], term.reach)))
        at += width
    return tables


def by_benchmark(fitted: FittedSurrogate, X: Floats, frame: pl.DataFrame) -> pl.DataFrame | None:
    """Return the scores that a surrogate predicts on each benchmark, beside Pass@1; None if it predicts none.

    Parameters
    ----------
    fitted : FittedSurrogate
    X : array (n, p)
        Features of the candidates, from `FittedSurrogate.design`.
    frame : polars.DataFrame
        The candidates, n of them, with what Pass@1 by benchmark is derived from.

    Returns
    -------
    polars.DataFrame
        A row a candidate and benchmark: ``candidate``, ``benchmark``, ``before`` (Pass@1), ``prediction``, ``low``,
        ``high`` (90 % interval); null where a measurement is missing.
    """
    form = fitted.form
    if not isinstance(form, HierarchicalForm) or not len(form.knots):
        return None
    scores, names = form.scores(X), named_benchmarks(fitted.features)
    shares = [benchmark_column(name) for name in names]
    before = with_derived(frame, shares).select(pl.col(shares).cast(pl.Float64)).to_numpy()
    tables = {"before": before, "prediction": scores.cell_mean, "low": scores.cell_low, "high": scores.cell_high}
    columns = {name: pl.Series(name, table.ravel(), nan_to_null=True) for name, table in tables.items()}
    candidates = [name for name in frame["candidate"] for _ in names]
    return pl.DataFrame({"candidate": candidates, "benchmark": list(names) * frame.height} | columns)


def named_benchmarks(columns: Sequence[str]) -> tuple[str, ...]:
    """Return the benchmarks whose samples before RL are among the columns, and with them what the map reads.

    Examples
    --------
    >>> named_benchmarks(["pre_problems[math].pass_at_4", "pre_problems[math].samples", "pre_pass_at_1"])
    ('math',)
    """
    derived_columns = {name: derived for name in columns if (derived := derived_of(name)) is not None}
    return tuple(
        str(column.benchmark)
        for column in derived_columns.values()
        if column.kind == "samples" and column.origin == "pre_problems"
    )


def read_form(form: JsonObject, p: int) -> HierarchicalForm:
    """Return the form that stored values describe, every size and bound checked."""
    knots = form.array("knots", (form.length("knots", 0, 20),), low=-50.0, high=50.0)
    terms = form.texts("terms", 0, 20)
    for term in terms:
        if term not in TERMS:
            raise form.error("terms", f"among {', '.join(TERMS)}", term)
    B = form.length("weights", 1, p + 1)
    columns = 2 * B if len(knots) else 0
    width = term_width(terms, B if len(knots) else 0)
    if columns + width > p or (not len(knots) and B != 1):
        raise form.error("weights", f"of the benchmarks among {p} features", form.value["weights"])
    bases = max(p - columns - width, 1)
    means = 1 + (len(knots) + 1 if len(knots) else 0) + len(terms)
    q = means + B * (2 if len(knots) else 1) + bases * (means + B)
    if q > _MOST_WEIGHTS:
        raise form.error("mean", f"of at most {_MOST_WEIGHTS} effects", form.value["mean"])
    return HierarchicalForm(
        knots=knots,
        weights=form.array("weights", (B,), low=0.0, high=1.0),
        terms=terms,
        mean=form.array("mean", (q,)),
        covariance=form.array("covariance", (q, q)),
        spreads=form.array("spreads", (len(Spreads._fields),), low=0.0, high=100.0),
        tries=form.number("tries", low=1.0, high=1e6),
        **form.spread(),
    )
