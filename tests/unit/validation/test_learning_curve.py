import numpy as np
import pytest

from quagpredict.errors import CorpusError, UsageError
from quagpredict.testing.synthetic import synthetic_corpus
from quagpredict.validation.learning_curve import SCHEMA, LearningCurve, learning_curve
from quagpredict.validation.run_designs import DESIGNS, choose

CORPUS = synthetic_corpus(48, problems=30, seed=3)


@pytest.fixture(scope="module")
def curve() -> LearningCurve:
    return learning_curve(CORPUS.frame, ["linear:both", "effective_k"], sizes=[1, 3, 6, 32], repeats=12)


def test_models_are_judged_from_the_runs_on_that_they_can_be_fitted_on(curve: LearningCurve) -> None:
    assert list(curve.frame.schema) == list(SCHEMA)
    assert (curve.candidates, curve.test) == (48, 16)
    judged = {model: curve.frame.filter(model=model)["runs"].min() for model in curve.frame["model"].unique().to_list()}
    assert judged["effective_k"] == judged["proxy:pass_at_1"] == 1
    assert judged["linear:both"] == 6
    assert judged["mean"] == 3
    assert set(curve.frame["design"]) == {"random", "max-min"}


def test_more_runs_tell_more_and_all_runs_are_the_same_by_any_design(curve: LearningCurve) -> None:
    for design in ("random", "max-min"):
        own = curve.frame.filter(design=design, model="linear:both", metric="r2").sort("runs")
        assert own["mean"].is_sorted()
    whole = curve.frame.filter(runs=32, model="linear:both", metric="r2")["mean"]
    assert whole[0] == pytest.approx(whole[1])
    order = curve.frame.filter(model="proxy:pass_at_1", metric="spearman")["mean"]
    assert order.n_unique() == 1  # nothing is fitted
    assert curve.runs_needed("linear:both", "r2") in (6, 32)
    assert curve.runs_needed("proxy:pass_at_1") == 1
    assert curve.runs_needed("never judged") is None


def test_a_design_does_not_look_at_results() -> None:
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(20, 2))
    for design in DESIGNS:
        order = choose(design, Z, np.random.default_rng(1))
        assert sorted(order) == list(range(20))
        np.testing.assert_array_equal(order, choose(design, Z * 7 + 3, np.random.default_rng(1)))
    spread = [np.ptp(Z[choose("max-min", Z, np.random.default_rng(s))[:4]], axis=0).mean() for s in range(5)]
    assert np.mean(spread) > np.mean([np.ptp(Z[rng.permutation(20)[:4]], axis=0).mean() for _ in range(200)])


def test_a_d_optimal_design_pins_coefficients_down() -> None:
    rng = np.random.default_rng(2)
    Z = rng.normal(size=(30, 2))
    design = np.column_stack([np.ones(30), Z])

    def information(rows: np.ndarray) -> float:
        return float(np.linalg.slogdet(design[rows].T @ design[rows])[1])

    chosen = information(choose("d-optimal", Z, rng)[:6])
    assert chosen > max(information(rng.permutation(30)[:6]) for _ in range(50))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"designs": "best"}, UsageError, "unknown design 'best'"),
        ({"sizes": [0, 5]}, UsageError, "sizes must lie from 1 to 32"),
        ({"sizes": [99]}, UsageError, "sizes must lie from 1 to 32"),
        ({"surrogates": ["cubic:loss"]}, UsageError, "KIND"),
    ],
)
def test_bad_calls_are_refused(arguments, error, message) -> None:
    with pytest.raises(error, match=message):
        learning_curve(CORPUS.frame, **arguments)
    with pytest.raises(CorpusError, match="too few for a curve"):
        learning_curve(CORPUS.frame.head(6))


def test_a_design_on_a_column_that_is_not_there_is_refused() -> None:
    with pytest.raises(CorpusError, match="pre_pass_at_99999"):
        learning_curve(CORPUS.frame, ["linear:both"], sizes=[6], design_features="pre_pass_at_99999", repeats=2)
    with pytest.raises(UsageError, match="top_m must be at least 1"):
        learning_curve(CORPUS.frame, ["linear:both"], sizes=[6], top_m=0, repeats=2)
