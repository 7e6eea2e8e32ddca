import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quagpredict.errors import UsageError
from quagpredict.surrogates.transforms import parse_transform

NAMES = ["identity", "sqrt", "log", "logit", "logit(1)", "logit(12800)", "logit(2.5)"]


@given(st.sampled_from(NAMES), st.floats(0.001, 0.999))
def test_inverse_undoes_forward(name: str, value: float) -> None:
    transform = parse_transform(name)
    assert transform.inverse(transform.forward(value)) == pytest.approx(value, rel=1e-9)


@given(st.sampled_from([name for name in NAMES if name != "sqrt"]), st.floats(-6, 6))
def test_slope_is_the_derivative_of_inverse(name: str, value: float) -> None:
    transform = parse_transform(name)
    step = 1e-5
    numeric = (transform.inverse(value + step) - transform.inverse(value - step)) / (2 * step)
    assert transform.slope(value) == pytest.approx(float(numeric), rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_the_recorded_name_gives_the_same_transform(name: str) -> None:
    assert parse_transform(str(parse_transform(name))) == parse_transform(name)


def test_ends_of_a_share() -> None:
    corrected = parse_transform("logit(10)").forward([0.0, 1.0])
    assert corrected == pytest.approx([np.log(0.5 / 10.5), np.log(10.5 / 0.5)])
    assert np.isnan(parse_transform("logit").forward([0.0, 1.0])).all()
    assert np.isnan(parse_transform("logit(10)").forward([-0.1, 1.1, np.nan])).all()
    assert np.isnan(parse_transform("log").forward([0.0, -1.0, np.inf])).all()


def test_roots() -> None:
    root = parse_transform("sqrt")
    assert root.forward([0.0, 4.0]).tolist() == [0.0, 2.0]
    assert np.isnan(root.forward([-1e-9, np.inf])).all()
    assert root.slope([0.0, 3.0]).tolist() == [0.0, 6.0]


def test_extreme_values_do_not_warn() -> None:
    assert parse_transform("logit").inverse([-1e4, 1e4]).tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    "name", ["", "sqrt()", "logit()", "logit(0)", "logit(-1)", "logit(nan)", "logit(1e99)", "Logit"]
)
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="unknown transform"):
        parse_transform(name)
