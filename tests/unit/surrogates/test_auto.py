import numpy as np
import polars as pl
import pytest

from quagpredict.errors import CorpusError
from quagpredict.surrogates import fit, prepare
from quagpredict.surrogates.auto import choose_tables
from quagpredict.surrogates.fitting import fit_frame
from quagpredict.surrogates.kinds import SURROGATES, kind_columns, kind_of
from quagpredict.testing.worlds import World, draw

OF_A_CORPUS = [kind for kind in SURROGATES if kind_of(kind).reads != "weights"]


@pytest.mark.parametrize(
    ("law", "good"),
    [("effective_k", {"effective_k", "sharpening"}), ("sharpening", {"sharpening"}), ("mixed", {"mixed"})],
)
def test_the_law_of_the_world_is_chosen_and_said(law: str, good: set[str]) -> None:
    rl_noise = 0.03 if law == "mixed" else 0.05
    fitted = fit(draw(World(law, bases=6, seed=2, rl_noise=rl_noise), 48).frame, "auto")
    assert fitted.name == "auto"
    chosen = fitted.notes[0].split()[1].partition(":")[0]
    assert chosen in good
    for kind in ("linear", "ridge", "mean", "sharpening"):
        assert f" {kind} " in fitted.notes[0]


def test_noise_is_predicted_by_its_mean_or_close_to_it() -> None:
    rng = np.random.default_rng(0)
    gains = []
    for seed in range(20):
        X, y = rng.normal(size=(40, 3)), rng.normal(size=40)
        new, outcome = rng.normal(size=(500, 3)), rng.normal(size=500)
        gains.append(1 - ((outcome - choose_tables(X, y, seed=seed).predict(new).mean) ** 2).mean() / outcome.var())
    assert np.mean(gains) < 0.0
    assert np.mean(gains) > -0.15


def test_the_inner_score_has_not_seen_what_it_judges() -> None:
    """With as many features as rows a fit is perfect on its rows; the choice must not fall for it."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 25)), rng.normal(size=30)
    assert not choose_tables(X, y).notes[0].startswith("chose linear")


def test_few_rows_are_refused_and_kinds_without_columns_passed_over() -> None:
    frame = draw(World("linear"), 20).frame.with_columns(pl.col("post_pass_at_1").clip(0, 1))
    with pytest.raises(CorpusError, match="at least 8"):
        fit(frame[:7], "auto")
    flat = frame.drop("pre_problems", "base_model", "rl_steps")
    told = fit(flat, "auto").notes[0]
    assert "sharpening" not in told
    assert "saturating" not in told
    assert "effective_k" in told  # from the flat columns


def test_a_prepared_table_gives_the_same_fits() -> None:
    frame = draw(World("saturating", seed=1, problems=20), 30).frame
    y = frame["post_pass_at_1"].to_numpy()
    ready = prepare(frame)
    assert "pre_problems" not in ready.columns
    for kind in OF_A_CORPUS:
        one, other = fit_frame(kind, frame[:20], y[:20]), fit_frame(kind, ready[:20], y[:20])
        np.testing.assert_allclose(one.predict_frame(frame[20:]).mean, other.predict_frame(ready[20:]).mean, rtol=1e-9)


def test_every_kind_fits_on_its_fewest_rows() -> None:
    frame = draw(World("saturating", seed=1, problems=20), 30).frame
    for kind in OF_A_CORPUS:
        few = kind_of(kind).fewest_rows(2)
        fitted = fit(frame[:few], kind)
        assert np.isfinite(fitted.predict_frame(frame).mean).all(), kind
        assert (fitted.predict_frame(frame).std > 0).all(), kind
        if few > 1:
            with pytest.raises(CorpusError, match="too few"):
                fit(frame[: few - 1], kind)


def test_patterns_and_all_numeric() -> None:
    frame = draw(World("linear", problems=5), 12).frame
    assert kind_columns("ridge", frame, "pre_pass_at_(1|2)") == ("pre_pass_at_1", "pre_pass_at_2")
    wide = fit(frame, "ridge", "all-numeric")
    assert "post_pass_at_1" not in wide.features
    assert "pre_samples_per_problem" not in wide.features  # the same everywhere
    assert {"pre_held_out_loss_nats", "pre_pass_at_64"} <= set(wide.features)
    with pytest.raises(CorpusError, match=r"no column of numbers matches 'w_\.\*'"):
        fit(frame, "ridge", "w_.*")
