import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.errors import InvalidDataError
from quagpredict.validation.scores import pairwise_accuracy, regret_in_groups
from quagpredict.validation.within_base import within_base


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), bases=st.integers(1, 4), clustered=st.booleans())
def test_the_first_value_is_that_of_the_table_and_the_oracle_is_perfect(seed: int, bases: int, clustered: bool) -> None:
    rng = np.random.default_rng(seed)
    n = 6 * bases
    y, rule = rng.random(n), rng.random(n)
    of = np.arange(n) % bases
    kinds = rng.integers(0, 3, n) if clustered else None
    found = within_base(y, {"oracle": y, "rule": rule, "against": -y}, of, kinds, draws=20, seed=seed)
    each = [float(pairwise_accuracy(y[of == base], rule[of == base])) for base in range(bases)]
    assert found["rule"].pairs[0] == pytest.approx(np.mean(each))
    assert found["rule"].regret[0] == pytest.approx(float(regret_in_groups(y, rule, of)))
    known = np.isfinite(found["oracle"].pairs)
    assert np.all(found["oracle"].pairs[known] == 1.0)
    assert np.nanmax(found["oracle"].regret) == 0.0
    assert np.all(found["against"].pairs[known] == 0.0)
    assert np.nanmin(found["rule"].less(found["oracle"]).regret) >= 0.0


def test_draws_of_clusters_take_all_or_nothing_of_each() -> None:
    # Within a kind the rule is wrong, between kinds it is right: a draw of one kind alone has no pair in order.
    y = np.array([0.1, 0.2, 0.8, 0.9])
    found = within_base(y, {"rule": [1, 0, 3, 2]}, ["b"] * 4, ["low", "low", "high", "high"], draws=400)
    values = set(np.round(found["rule"].pairs[1:], 3))
    assert values == {0.0, round(4 / 6, 3)}


def test_the_same_seed_gives_the_same_draws_for_every_rule() -> None:
    rng = np.random.default_rng(0)
    y, bases = rng.random(20), ["a", "b"] * 10
    found = within_base(y, {"one": y * 2, "two": y * 3}, bases, draws=50)
    assert np.array_equal(found["one"].pairs, found["two"].pairs, equal_nan=True)
    assert np.array_equal(found["one"].regret, found["two"].regret)


@pytest.mark.parametrize(
    ("y", "rule", "bases", "message"),
    [
        ([0.1, np.nan], [1, 2], ["a", "a"], "'y'"),
        ([0.1, 0.2], [1, np.nan], ["a", "a"], "'rule'"),
        ([0.1, 0.2], [1], ["a", "a"], "'rule'"),
        ([0.1, 0.2], [1, 2], ["a", "b"], "no base model has two candidates"),
    ],
)
def test_bad_tables_are_refused(y: list[float], rule: list[float], bases: list[str], message: str) -> None:
    with pytest.raises(InvalidDataError, match=message):
        within_base(y, {"rule": rule}, bases)
