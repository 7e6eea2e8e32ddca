import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.errors import CorpusError, UsageError
from quagpredict.surrogates import fit
from quagpredict.surrogates.fitting import fit_frame
from quagpredict.surrogates.linear import fit_linear
from quagpredict.surrogates.mixed import fit_mixed
from quagpredict.testing.worlds import World, draw


def table(seed: int, groups: int, each: int, deviation: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    effect = rng.normal(0, deviation, groups)
    group = np.repeat(np.arange(groups), each)
    x = rng.normal(size=(len(group), 2))
    y = x @ [0.3, -0.2] + effect[group] + rng.normal(0, 0.1, len(group))
    return np.column_stack([x, np.eye(groups)[group], np.zeros(len(group))]), y, effect


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_without_groups_it_is_least_squares(seed: int) -> None:
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(15, 3)), rng.normal(size=15)
    ours, theirs = fit_mixed(X, y).predict(X), fit_linear(X, y).predict(X)
    np.testing.assert_allclose(ours.mean, theirs.mean, atol=1e-6)
    np.testing.assert_allclose(ours.std, theirs.std, rtol=1e-5)


@pytest.mark.parametrize("deviation", [0.05, 0.2, 0.6])
def test_the_deviation_between_groups_is_found(deviation: float) -> None:
    found = [np.sqrt(fit_mixed(*table(seed, 20, 6, deviation)[:2], groups=21).form.covariance[-1 - 42, -1 - 42])
             for seed in range(8)]  # fmt: skip
    assert np.median(found) == pytest.approx(deviation, rel=0.25)


def test_few_rows_of_a_group_are_drawn_to_the_population() -> None:
    X, y, effect = table(0, 8, 12, 0.5)
    keep = np.concatenate([np.arange(12 * 7), [12 * 7]])  # the last group has a single row
    form = fit_mixed(X[keep], y[keep], groups=9).form
    effects = form.coefficients[3 : 3 + 9]
    assert abs(effects[:7] - effect[:7] + (effect[:7] - effects[:7]).mean()).max() < 0.1
    assert effects[8] == 0.0
    deviation = np.sqrt(form.covariance.diagonal()[3 : 3 + 9])
    assert deviation[7] > deviation[:7].max()
    assert deviation[8] > deviation[7]


def test_unseen_base_models_are_covered() -> None:
    covered = []
    for seed in range(25):
        world = World("mixed", bases=9, base_deviation=0.15, seed=seed, rl_noise=0.03, problems=20)
        frame = draw(world, 54).frame
        unseen = frame["base_model"] == "base-8"
        training, test = frame.filter(~unseen), frame.filter(unseen)
        fitted = fit_frame("mixed", training, training["post_pass_at_1"].to_numpy())
        low, high = fitted.interval(fitted.design(test))
        y = test["post_pass_at_1"].to_numpy()
        covered.append(((y >= low) & (y <= high)).mean())
    assert 0.8 <= np.mean(covered) <= 0.99


def test_an_unknown_base_is_the_population_and_seen_ones_are_told_apart() -> None:
    drawn = draw(World("mixed", bases=6, seed=1, rl_noise=0.02), 60)
    fitted = fit_frame("mixed", drawn.frame, drawn.frame["post_pass_at_1"].to_numpy())
    other = drawn.frame.with_columns(base_model=drawn.frame["base_model"].str.replace("base", "else"))
    assert (fitted.predict_frame(other).std > 1.5 * fitted.predict_frame(drawn.frame).std).all()
    effects = np.array(list(drawn.effects.values()))
    assert np.corrcoef(fitted.form.coefficients[3:9], effects)[0, 1] > 0.95


def test_candidates_of_an_unknown_base_err_together() -> None:
    drawn = draw(World("mixed", bases=5, seed=1), 40)
    fitted = fit_frame("mixed", drawn.frame, drawn.frame["post_pass_at_1"].to_numpy())
    other = drawn.frame.with_columns(base_model=drawn.frame["base_model"].str.replace("base", "else"))
    factor = fitted.joint(fitted.design(other)).factor
    covariance = factor @ factor.T
    scale = np.sqrt(covariance.diagonal())
    assert (covariance / np.outer(scale, scale) > 0.8).all()


def test_groups_are_checked() -> None:
    with pytest.raises(UsageError, match="groups"):
        fit_mixed(np.ones((5, 2)), np.ones(5), groups=2)
    frame = draw(World("mixed"), 12).frame
    with pytest.raises(CorpusError, match="'lab' is missing"):
        fit(frame, "mixed", groups="lab")
    assert fit(frame.drop("base_model"), "mixed").features == ("pre_held_out_loss_nats", "pre_pass_at_64")
