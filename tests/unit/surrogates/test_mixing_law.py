import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.errors import CorpusError
from quagpredict.surrogates import fit
from quagpredict.surrogates.mixing_law import fit_mixing_law


@given(seed=st.integers(0, 2**32 - 1), rises=st.booleans())
@settings(max_examples=15)
def test_the_law_is_found(seed: int, rises: bool) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(4, 0.7), 120)
    rates = np.array([-3.0, -1.0, 0.0, 0.5])
    sign = -1.0 if rises else 1.0
    true = sign * (2.0 + np.exp(weights @ rates))
    fitted = fit_mixing_law(weights[:80], true[:80] + rng.normal(0, 0.005, 80))
    assert np.abs(fitted.predict(weights[80:]).mean - true[80:]).max() < 0.05
    assert np.sign(fitted.form.k) == sign
    assert fitted.notes[0].startswith("goes up" if rises else "goes down")
    low, high = fitted.interval(weights[80:], 0.99)
    assert ((low < true[80:]) & (true[80:] < high)).mean() > 0.9


def test_without_a_curve_it_is_a_line() -> None:
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.full(3, 1.0), 60)
    y = weights @ [1.0, 2.0, 4.0] + rng.normal(0, 0.01, 60)
    assert np.abs(fit_mixing_law(weights, y).predict(weights).mean - weights @ [1.0, 2.0, 4.0]).max() < 0.05


def test_a_table_without_weights_is_refused() -> None:
    rng = np.random.default_rng(0)
    names = {"candidate": [f"c{row}" for row in range(20)]}
    table = pl.DataFrame({**names, "x": rng.normal(size=20), "z": rng.normal(size=20), "loss": rng.normal(size=20)})
    with pytest.raises(CorpusError, match=r"mixing_law needs weights of a mixture: .*; got x, z"):
        fit(table, "mixing_law", ["x", "z"], "loss")
