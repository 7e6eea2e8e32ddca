"""What is kept is what `fit`, the calibration and `validate` give, in one call."""

import pytest

from quagpredict import fit, fit_validated, validate
from quagpredict.errors import UsageError
from quagpredict.testing.synthetic import synthetic_corpus
from quagpredict.validation.conformal import with_calibration


@pytest.fixture(scope="module")
def runs():
    return synthetic_corpus(24, seed=4).frame


def test_it_is_the_three_steps(runs):
    made = fit_validated(runs, "linear:loss", repeats=3, seed=1)
    alone = with_calibration(fit(runs, "linear", "loss", seed=1), runs, features="loss", transforms="identity", seed=1)
    assert made.surrogate.calibration == alone.calibration
    assert (made.surrogate.predict([[1.5]]).mean == alone.predict([[1.5]]).mean).all()
    assert made.name == "linear:loss"
    judged = validate(runs, ["linear:loss"], repeats=3, seed=1).frame
    mine = made.report.frame
    row = {"model": "linear:loss", "metric": "r2"}
    assert mine.filter(**row)["mean"].to_list() == judged.filter(**row)["mean"].to_list()


def test_what_cannot_be_said_is_a_note(runs):
    made = fit_validated(runs[:5], "ridge:loss", split=None, repeats=3)
    assert made.report is None
    assert any(note.startswith("not validated: 5 finished candidates") for note in made.notes)
    assert fit_validated(runs, "linear:loss", repeats=0, intervals="model").surrogate.calibration is None


def test_wrong_intervals_are_refused(runs):
    with pytest.raises(UsageError, match='intervals="wide": expected one of conformal, model'):
        fit_validated(runs, intervals="wide")
