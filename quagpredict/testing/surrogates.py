"""The contract of a kind of surrogate, for anyone's own."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

from quagpredict.corpus.columns import is_derived
from quagpredict.errors import CorpusError, InvalidDataError
from quagpredict.surrogates.fitting import fit
from quagpredict.surrogates.kinds import kind_of
from quagpredict.surrogates.store import load_surrogate, save_surrogate
from quagpredict.testing import held
from quagpredict.testing.synthetic import synthetic_corpus

_LEVELS = (0.5, 0.9, 0.99)


def check_surrogate(kind: str, folder: str | Path, runs: pl.DataFrame | None = None) -> None:
    """Hold a kind of surrogate to what every kind keeps to.

    It predicts a finite mean inside its interval, and a wider interval at a higher level; whatever the order and the
    company of the rows; joint draws lie about the prediction; stored and read back it predicts the same to the
    bit; a missing measurement and too few rows are refused in words.

    Parameters
    ----------
    kind : str
        Its line in `quagpredict.surrogates.kinds.KINDS`.
    folder : path
        To store it in.
    runs : polars.DataFrame, optional
        Finished runs that it can learn from; by default synthetic ones.

    Raises
    ------
    AssertionError
        At the first thing that does not hold; the message says which.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     check_surrogate("linear", folder)
    """
    runs = synthetic_corpus(24, problems=20, seed=5).frame if runs is None else runs
    fitted = fit(runs, kind)
    X = fitted.design(runs)
    predicted = fitted.predict(X)
    n = len(X)
    held(predicted.mean.shape == predicted.std.shape == (n,), "a prediction has a mean and a deviation for each row")
    held(np.isfinite(predicted.mean).all(), "a measured candidate has a finite prediction")
    held((predicted.std >= 0).all(), "no deviation is negative")
    widths = []
    for level in _LEVELS:
        low, high = fitted.interval(X, level)
        inside = (low <= predicted.mean) & (predicted.mean <= high)
        held(inside.all(), f"the mean lies in its {level:g} interval")
        widths.append(high - low)
    held(all((a <= b).all() for a, b in pairwise(widths)), "a higher level is a wider interval")
    order = np.random.default_rng(0).permutation(n)
    shuffled = fitted.predict(X[order]).mean
    held(np.allclose(shuffled, predicted.mean[order], rtol=0, atol=1e-12), "the order of rows does not matter")
    alone = np.concatenate([fitted.predict(X[at : at + 1]).mean for at in range(min(n, 5))])
    held(np.allclose(alone, predicted.mean[:5], rtol=0, atol=1e-12), "a row's prediction is its own")
    # `fit` puts rows in the order of their names: with these turned round, what comes first comes last.
    turned = (pl.col("candidate").n_unique() - pl.col("candidate").rank("dense")).cast(pl.String).str.zfill(9)
    again = fit(runs[order.tolist()].with_columns(candidate=turned), kind).predict(X).mean
    held(np.allclose(again, predicted.mean, rtol=0, atol=1e-6), "a fit does not depend on the order of its rows")
    draws = fitted.draw(X, 4000, seed=1)
    held(draws.shape == (4000, n), "draws have a row each and a column a candidate")
    held(np.isfinite(draws).all(), "draws are finite")
    middle, spread = np.median(draws, axis=0), np.maximum(predicted.std, 1e-9)
    held((np.abs(middle - predicted.mean) <= 0.5 * spread + 1e-9).all(), "draws lie about the prediction")
    save_surrogate(fitted, folder, card="# For a test\n")
    read = load_surrogate(folder)
    held(np.array_equal(read.predict(X).mean, predicted.mean), "read back it predicts the same to the bit")
    _check_refusals(kind, runs, fitted.features)


def _check_refusals(kind: str, runs: pl.DataFrame, features: tuple[str, ...]) -> None:
    measured = next((name for name in features if name in runs.columns), None)
    if measured is not None:
        try:
            fit(runs.with_columns(pl.lit(None, pl.Float64).alias(measured)), kind)
        except (CorpusError, InvalidDataError) as error:
            held(measured in str(error), f"a missing measurement is named, not: {error}")
        else:
            held(False, f"a table without '{measured}' is refused")
    fewest = kind_of(kind).fewest_rows(sum(not is_derived(name) for name in features))
    if fewest > 1:
        try:
            fit(runs.head(fewest - 1), kind)
        except CorpusError:
            return
        held(False, f"fewer than {fewest} finished runs are refused")
