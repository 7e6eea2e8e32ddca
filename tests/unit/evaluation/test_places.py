"""Who gets more samples: only who may be among the best and is not known to be."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from quagpredict.evaluation.ordering import Other
from quagpredict.evaluation.places import open_places, place_of

candidates = st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0.0, 0.001, 0.02, 0.1])), min_size=1, max_size=8).map(
    lambda values: [Other(f"{i}", np.array([value]), error) for i, (value, error) in enumerate(values)]
)


@given(candidates, st.integers(1, 8), st.floats(0, 0.2))
def test_an_open_pair_has_one_on_each_side_of_the_choice_and_is_not_told_apart(
    measured: list[Other], top: int, tolerance: float
) -> None:
    found = open_places(measured, top, tolerance=tolerance)
    assert found == open_places(measured[::-1], top, tolerance=tolerance)[::-1]
    if top >= len(measured):
        assert found == []
    ranked = sorted(measured, key=lambda one: (-one.values[0], one.name))
    inside, outside = ranked[:top], ranked[top:]
    for one, others in [*((one, outside) for one in inside), *((one, inside) for one in outside)]:
        widths = [(abs(one.values[0] - other.values[0]), 1.645 * np.hypot(one.error, other.error)) for other in others]
        margin = 1e-3 * (1 + tolerance)
        if all(apart > width + margin or width < tolerance - margin for apart, width in widths):
            assert one.name not in found
        if any(apart < width - margin and width > tolerance + margin for apart, width in widths):
            assert one.name in found


def test_the_error_is_that_of_many_measurements() -> None:
    rng = np.random.default_rng(0)
    chance = rng.beta(0.5, 1.0, 150)
    many = [place_of("a", np.full(150, 16), rng.binomial(16, chance), 16) for _ in range(40)]
    spread = np.std([one.values.mean() for one in many], ddof=1)
    assert 0.7 < np.mean([one.error for one in many]) / spread < 1.4
