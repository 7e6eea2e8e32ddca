"""What a new kind of surrogate takes: one module, one line in the table.

It may read nested counts, predict from a prior before any run is finished, and tell what its prediction is made of.
"""

import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from quagpredict import SurrogateRegressor, fit, load_surrogate, rank, save_surrogate
from quagpredict.surrogates.kinds import KINDS, kind_of
from quagpredict.testing.worlds import World, draw

MODULE = """
from dataclasses import dataclass

import numpy as np

from quagpredict.corpus.columns import curve_column
from quagpredict.surrogates.forms import TrainingDomain
from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.forms import JointPrediction, TransformedPrediction
from quagpredict.surrogates.kind import Kind

PRIOR_GAIN, PRIOR_STD, NOISE = 0.2, 0.1, 0.05


@dataclass(frozen=True, eq=False)
class GainForm:
    gain: float
    gain_std: float
    noise: float
    problems: float
    names: tuple[str, ...]
    degrees_of_freedom: float = 1e6
    t_factor: float = 1.0

    def predict(self, Z):
        std = np.full(len(Z), np.hypot(self.gain_std, self.noise))
        return TransformedPrediction(Z[:, 0] + self.gain, std)

    def joint(self, Z):
        n = len(Z)
        return JointPrediction(Z[:, 0] + self.gain, np.full((n, 1), self.gain_std), np.full(n, self.noise))

    def seen(self, Z):
        return Z

    def parts(self, Z):
        before, gain = Z[:, 0], np.full(len(Z), self.gain)
        deviations = np.zeros(len(Z)), np.full(len(Z), self.gain_std)
        return dict(zip(self.names, map(TransformedPrediction, (before, gain), deviations)))


def fit_gain(
    X, y, *, features=None, target="y", feature_transforms="identity", target_transform="identity", problems=0
):
    precision = PRIOR_STD**-2 + len(y) * NOISE**-2
    gain = (PRIOR_GAIN * PRIOR_STD**-2 + float((y - X[:, 0]).sum()) * NOISE**-2) / precision
    form = GainForm(gain, precision**-0.5, NOISE, float(problems), ("before RL", "gain"))
    domain = TrainingDomain(np.full(1, 0.5), np.eye(1), 1.0)
    return FittedSurrogate("gain", tuple(features or ("x0",)), target, ("identity",), "identity", form, domain,
                           training_rows=len(y))


def _fit(task):
    table = task.table()
    counts = task.frame["pre_problems"].list.len() if "pre_problems" in task.frame.columns else None
    problems = 0 if counts is None or not len(counts) else counts.max()
    return fit_gain(table.X, task.y, features=table.columns, target=task.target, problems=problems)


def _read(form, p):
    numbers = {name: form.number(name) for name in ("gain", "gain_std", "noise", "problems")}
    return GainForm(**numbers, names=form.texts("names", 2, 2), **form.spread())


KIND = Kind(fit_matrix=fit_gain, fit=_fit, columns=lambda frame, features, groups: (curve_column(1),), reads="own",
            fewest=0, form=GainForm, read=_read)
"""


@pytest.fixture(autouse=True)
def gain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gain_of_anyone.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(KINDS, "gain", "gain_of_anyone")
    monkeypatch.delitem(sys.modules, "gain_of_anyone", raising=False)


RUNS = draw(World("linear", problems=20), 12, seed=1).frame


def test_it_predicts_from_its_prior_and_learns_from_the_counts(tmp_path: Path) -> None:
    unfinished = RUNS.drop("post_pass_at_1")
    prior, posterior = fit(unfinished, "gain"), fit(RUNS, "gain")
    assert (prior.training_rows, posterior.training_rows) == (0, 12)
    before = RUNS["pre_pass_at_1"].to_numpy()
    np.testing.assert_allclose(prior.predict_frame(unfinished).mean, before + 0.2)
    assert (posterior.predict_frame(RUNS).std < prior.predict_frame(RUNS).std).all()
    assert posterior.form.problems == 20  # type: ignore[attr-defined]
    for fitted in (prior, posterior):
        save_surrogate(fitted, tmp_path / "stored")
        again = load_surrogate(tmp_path / "stored")
        np.testing.assert_array_equal(again.predict_frame(RUNS).mean, fitted.predict_frame(RUNS).mean)


def test_it_tells_what_its_prediction_is_made_of() -> None:
    fitted = fit(RUNS, "gain")
    X = fitted.design(RUNS)
    parts = fitted.parts(X)
    assert list(parts) == ["before RL", "gain"]
    np.testing.assert_allclose(parts["before RL"].mean + parts["gain"].mean, fitted.predict(X).mean)
    assert fit(RUNS, "linear").parts(fit(RUNS, "linear").design(RUNS)) == {}


def test_a_prior_ranks_candidates_before_any_run_is_finished() -> None:
    candidates = RUNS.drop("post_pass_at_1")
    ranking = rank(candidates, fit(candidates, "gain"))
    best = candidates.sort("pre_pass_at_1", descending=True)["candidate"][0]
    assert ranking.frame["candidate"][0] == best
    assert ranking.frame["prediction"].is_not_null().all()


def test_everyone_finds_it_in_the_table() -> None:
    assert kind_of("gain").reads == "own"
    model = SurrogateRegressor("gain", options={"problems": 7}).fit([[0.1], [0.2]], [0.4, 0.5])
    assert model.fitted_.form.problems == 7  # type: ignore[attr-defined]
    table = pl.DataFrame(RUNS).with_columns(post_pass_at_1=pl.col("pre_pass_at_1") + 0.1)
    assert abs(fit(table, "gain").form.gain - 0.1) < 0.01  # type: ignore[attr-defined]
