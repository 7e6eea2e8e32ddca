import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from quagpredict.errors import CorpusError, IncomparableError, UsageError
from quagpredict.surrogates import SurrogateRegressor, fit
from quagpredict.testing.synthetic import synthetic_corpus

FRAME = synthetic_corpus(30, seed=1, nested=False).frame


def test_it_is_the_estimator_on_the_design_matrix() -> None:
    fitted = fit(FRAME, features="both")
    X = FRAME.select("pre_held_out_loss_nats", "pre_pass_at_64").to_numpy()
    model = SurrogateRegressor().fit(X, FRAME["post_pass_at_1"].to_numpy())
    np.testing.assert_allclose(fitted.predict(X).mean, model.predict(X), rtol=1e-12)


def test_what_it_was_fitted_on_is_recorded() -> None:
    holes = FRAME.with_columns(
        post_pass_at_1=pl.when(pl.col("candidate") == "c0003").then(None).otherwise("post_pass_at_1"),
        split=pl.when(pl.col("candidate") == "c0004").then(pl.lit("held_out")).otherwise(pl.lit("fit")),
    )
    fitted = fit(holes, features="loss")
    assert (fitted.training_rows, fitted.dropped_rows) == (28, 1)
    assert fit(holes, features="loss", split=None).training_rows == 29
    assert fitted.base_models == ("base-0", "base-1")
    assert (fitted.eval_protocol_id, fitted.rl_recipe_id) == ("synthetic-protocol", "synthetic-rl")
    assert not fitted.cross_base_validated
    assert {"quagpredict", "numpy", "python"} <= fitted.versions.keys()


def test_the_digest_names_the_training_data() -> None:
    assert fit(FRAME).corpus_digest == fit(FRAME).corpus_digest
    assert fit(FRAME).corpus_digest != fit(FRAME.tail(29)).corpus_digest


def test_rl_seeds_of_a_candidate_are_averaged() -> None:
    frame = synthetic_corpus(12, rl_seeds=3, seed=2, nested=False).frame
    means = frame.group_by("candidate", maintain_order=True).agg(pl.col("post_pass_at_1").mean())["post_pass_at_1"]
    once = frame.filter(pl.col("rl_seed") == 0).with_columns(means)
    several = fit(frame, features="loss")
    assert several.training_rows == 12
    np.testing.assert_allclose(several.form.coefficients, fit(once, features="loss").form.coefficients)


def test_transforms_are_recorded_and_used() -> None:
    fitted = fit(FRAME, transforms="log-logit")
    assert fitted.feature_transforms == ("log", "logit(120.0)")
    assert fitted.target_transform == "logit(3840.0)"
    named = fit(FRAME, features="loss", transforms={"pre_held_out_loss_nats": "log", "post_pass_at_1": "logit"})
    assert (named.feature_transforms, named.target_transform) == (("log",), "logit")


def test_any_table_will_do() -> None:
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(3), 20)
    table = pl.DataFrame({"candidate": [f"m{i}" for i in range(20)], "w0": weights[:, 0], "w1": weights[:, 1]})
    fitted = fit(table.with_columns(final=3 - pl.col("w0")), features=["w0", "w1"], target="final")
    assert fitted.predict([[0.5, 0.1]]).mean[0] == pytest.approx(2.5)
    assert (fitted.eval_protocol_id, fitted.base_models) == ("", ())


@pytest.mark.parametrize(
    ("frame", "settings", "error", "message"),
    [
        (FRAME.drop("pre_pass_at_64"), {"features": "pass_at_64"}, CorpusError, "column 'pre_pass_at_64' is missing"),
        (FRAME.drop("post_pass_at_1"), {}, CorpusError, "column 'post_pass_at_1' is missing"),
        (FRAME.drop("candidate"), {}, CorpusError, "column 'candidate' is missing"),
        (FRAME.with_columns(post_pass_at_1=pl.lit(None)), {}, CorpusError, "no row .* has the target"),
        (FRAME.with_columns(post_pass_at_1=pl.lit("x")), {}, CorpusError, "must be numbers"),
        (FRAME.head(4), {}, CorpusError, "4 finished candidates are too few for 2 features .* at least 5"),
        (FRAME, {"surrogate": "cubic"}, UsageError, "unknown surrogate 'cubic'"),
        (FRAME, {"features": "post_pass_at_1"}, UsageError, "known only after RL"),
        (
            FRAME.with_columns(
                pre_pass_at_64=pl.when(pl.col("candidate") == "c0002").then(None).otherwise("pre_pass_at_64")
            ),
            {},
            CorpusError,
            "'pre_pass_at_64' of candidate 'c0002' is missing",
        ),
        (
            FRAME.with_columns(
                eval_protocol_id=pl.when(pl.col("candidate") == "c0002").then(pl.lit("b")).otherwise(pl.lit("a"))
            ),
            {},
            IncomparableError,
            "2 eval protocols .*: a, b",
        ),
        (
            FRAME.with_columns(rl_recipe_id=pl.when(pl.col("candidate") == "c0002").then(None).otherwise(pl.lit("a"))),
            {},
            IncomparableError,
            "2 RL recipes .*unknown",
        ),
    ],
)
def test_bad_tables_are_refused(frame: pl.DataFrame, settings: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        fit(frame, **settings)


def test_a_protocol_of_an_unfinished_row_does_not_matter() -> None:
    extra = FRAME.head(1).with_columns(
        candidate=pl.lit("other"), eval_protocol_id=pl.lit("b"), post_pass_at_1=pl.lit(None, dtype=pl.Float64)
    )
    assert fit(pl.concat([FRAME, extra])).training_rows == 30


def test_neither_fitting_nor_loading_imports_scikit_learn() -> None:
    program = (
        "import sys, quagpredict.surrogates as s; s.fit; s.load_surrogate; s.FittedSurrogate;"
        "print([m for m in ('sklearn', 'scipy', 'lightgbm') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_a_polars_frame_is_checked_like_any_other() -> None:
    copies = FRAME.with_columns(base_model=pl.lit("other"), rl_seed=pl.lit(7))
    with pytest.raises(CorpusError, match=r"'c0000' is there with several base models \(base-0, other\)"):
        fit(pl.concat([FRAME.with_columns(rl_seed=pl.lit(0)), copies], how="diagonal_relaxed"))
    with pytest.raises(CorpusError, match="appears 2 times"):
        fit(pl.concat([FRAME, FRAME]))
    with pytest.raises(CorpusError, match=r"mine: column 'post_pass_at_1'.*is this per cent"):
        fit(FRAME.with_columns(pl.col("post_pass_at_1") * 100), source="mine")


def test_named_columns_are_taken_by_name_and_groups_of_any_kind() -> None:
    fitted = fit(FRAME)
    frame = FRAME.to_pandas()
    turned = frame[list(reversed(fitted.features))]
    expected = fitted.predict_frame(FRAME).mean
    np.testing.assert_allclose(fitted.predict(turned).mean, expected, rtol=1e-12)
    np.testing.assert_allclose(fitted.predict(FRAME).mean, expected, rtol=1e-12)
    with pytest.raises(UsageError, match=f"expects the column '{fitted.features[0]}'"):
        fitted.predict(frame[[fitted.features[1]]])
    np.testing.assert_array_equal(fitted.predict_frame(FRAME.drop("candidate")).mean, expected)
    low, _ = fitted.interval(turned, groups=frame["base_model"])
    np.testing.assert_array_equal(fitted.interval(turned, groups=frame["base_model"].to_numpy()).low, low)
