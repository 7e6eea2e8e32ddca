import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from quagpredict.surrogates.mixture_weights import weight_columns


@given(
    seed=st.integers(0, 2**32 - 1),
    p=st.integers(2, 20),
    percent=st.booleans(),
    rounded=st.booleans(),
    extra=st.booleans(),
)
def test_weights_are_found_beside_other_columns(seed: int, p: int, percent: bool, rounded: bool, extra: bool) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(p, 0.3), 12)
    X = weights.round(3) if rounded else weights
    X = 100 * X if percent else X
    if extra:
        X = np.column_stack([X, rng.uniform(0.1, 0.9, 12)])
    names = [f"mix.{place}" for place in range(p)] + ["dropout"] * extra
    assert weight_columns(X, names).tolist() == [True] * p + [False] * extra


def test_what_only_looks_like_weights_is_none() -> None:
    assert not weight_columns(np.array([[0.4, 0.5], [0.3, 0.4]])).any()  # adds up to 0.9 and 0.7
    assert not weight_columns(np.array([[1.5, -0.5], [0.5, 0.5]])).any()
    assert not weight_columns(np.array([[1.0], [1.0]])).any()
    assert not weight_columns(np.zeros((0, 3))).any()
    measured = np.array([[0.4, 0.6], [0.5, 0.5]])
    assert not weight_columns(measured, ["pre_pass_at_1", "pre_truncated_share"]).any()
