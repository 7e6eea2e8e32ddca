import numpy as np
import polars as pl
import pytest
from scipy.special import stdtrit

from quagpredict.errors import CorpusError, IncomparableError, UsageError
from quagpredict.testing.synthetic import synthetic_corpus
from quagpredict.validation import ValidationReport, validate
from quagpredict.validation.baselines import BASELINE, BASELINE_ORDER
from quagpredict.validation.judging import OF_VALUES, arrange, judge, summarize
from quagpredict.validation.predicting import predictions
from quagpredict.validation.report import SCHEMA
from quagpredict.validation.splits import leave_one_group_out, random_halves, repeated_k_fold
from quagpredict.validation.task import task_of
from quagpredict.validation.validating import PROTOCOLS

TARGET = "post_pass_at_1"
CORPUS = synthetic_corpus(60, problems=30, seed=1)
#: One scenario and few measurements: quick to judge.
SLIM = CORPUS.frame.select(
    "candidate",
    "recipe_data_kind",
    "post_pass_at_1",
    "pre_held_out_loss_nats",
    "pre_pass_at_1",
    "pre_pass_at_64",
    "pre_samples_per_problem",
    "pre_problems_count",
)


@pytest.fixture(scope="module")
def report() -> ValidationReport:
    return validate(CORPUS.frame, repeats=40)


def _value(report: ValidationReport, model: str, metric: str, protocol: str, column: str = "mean") -> float:
    rows = report.frame.filter(scenario="all", model=model, metric=metric, protocol=protocol)
    assert rows.height == 1
    return rows[column][0]


def test_every_scenario_and_protocol_is_there(report: ValidationReport) -> None:
    assert report.frame.schema == pl.Schema(SCHEMA)
    assert set(report.frame["protocol"]) == set(PROTOCOLS)
    bases = ["base-0", "base-1"]
    levels = ["dataset-level", "instance-level"]
    expected = {"all", *levels, *(f"base:{b}" for b in bases), *(f"{level}:{b}" for level in levels for b in bases)}
    assert set(report.frame["scenario"]) == expected
    assert not report.frame.select("scenario", "protocol", "model", "metric").is_duplicated().any()
    assert report.candidates == 60


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_truth_behind_the_corpus_is_found(report: ValidationReport, protocol: str) -> None:
    both = _value(report, "linear:both", "r2", protocol)
    assert both > 0.7
    assert both > _value(report, BASELINE, "r2", protocol) + 0.3
    assert _value(report, "mean", "r2", protocol) <= 0.0
    assert _value(report, "mean", "pairwise_accuracy", protocol) == 0.5
    ceiling = report.frame.filter(model="noise ceiling", metric="r2", protocol=protocol)["mean"].to_list()
    if protocol.startswith("leave-one"):
        assert not ceiling  # it is that of all rows together, and groups are judged one by one
    else:
        assert both < ceiling[0]
    assert _value(report, "linear:both", "r2", protocol, "gain_low") > 0
    assert _value(report, "linear:both", "regret_1", protocol) < _value(report, "mean", "regret_1", protocol)


def test_intervals_hold_the_mean_and_the_gain_is_the_difference(report: ValidationReport) -> None:
    halves = report.frame.filter(protocol="random-halves").drop_nulls("low")
    assert (halves["low"] <= halves["mean"]).all()
    assert (halves["mean"] <= halves["high"]).all()
    for protocol in PROTOCOLS:
        difference = _value(report, "linear:loss", "r2", protocol) - _value(report, BASELINE, "r2", protocol)
        assert _value(report, "linear:loss", "r2", protocol, "gain") == pytest.approx(difference)
        over = _value(report, "linear:loss", "spearman", protocol) - _value(
            report, BASELINE_ORDER, "spearman", protocol
        )
        assert _value(report, "linear:loss", "spearman", protocol, "gain") == pytest.approx(over)
    own = report.frame.filter(model=BASELINE).with_columns(of_values=pl.col("metric").is_in(OF_VALUES))
    assert own.filter("of_values")["gain"].null_count() == own.filter("of_values").height
    assert report.frame.filter(model=BASELINE_ORDER)["gain"].drop_nulls().len() == 0


def test_an_order_is_compared_with_sft_pass_at_1_as_it_is() -> None:
    """A line that learns to fall in SFT Pass@1 orders well, and is no choice by SFT Pass@1."""
    rng = np.random.default_rng(0)
    score = rng.uniform(0.1, 0.6, 24)
    frame = pl.DataFrame({
        "candidate": [f"c{place}" for place in range(24)],
        "pre_pass_at_1": score,
        "pre_pass_at_64": score**0.3,
        "post_pass_at_1": 0.8 - score + rng.normal(0, 0.01, 24),
    })  # fmt: skip
    report = validate(frame, ["linear:pass_at_64"], "random-halves", repeats=20)
    assert _value(report, BASELINE, "pairwise_accuracy", "random-halves") > 0.85
    assert _value(report, BASELINE_ORDER, "pairwise_accuracy", "random-halves") < 0.15
    assert _value(report, "proxy:pass_at_64", "pairwise_accuracy", "random-halves", "gain") == pytest.approx(0)
    assert _value(report, "linear:pass_at_64", "regret_1", "random-halves", "gain") < -0.3


def test_a_proxy_of_a_loss_to_be_lowered_is_turned() -> None:
    """Whoever predicts a loss by itself, and lower is better, orders all and regrets nothing."""
    frame = SLIM.with_columns(error=pl.col("pre_held_out_loss_nats") * 2)
    report = validate(frame, ["linear:loss"], "k-fold", target="error", minimize=True)
    assert _value(report, "proxy:held_out_loss_nats", "spearman", "k-fold") == pytest.approx(1.0)
    assert _value(report, "proxy:held_out_loss_nats", "regret_1", "k-fold") == pytest.approx(0.0)


def test_intervals_count_the_repeats_that_have_a_score() -> None:
    """Coverage is known of ten splits of a hundred: its interval is that of ten."""
    values = np.full(100, np.nan)
    values[:10] = np.linspace(0.8, 1.0, 10)
    whole, alone = summarize(values, None, 1.0), summarize(values[:10], None, 1.0)
    assert whole == alone
    assert whole.high - whole.mean == pytest.approx(values[:10].std(ddof=1) * stdtrit(9, 0.95) * np.sqrt(1.1))


def test_a_proxy_only_orders(report: ValidationReport) -> None:
    rows = report.frame.filter(pl.col("model").str.starts_with("proxy:"))
    assert rows.height
    assert not set(rows["metric"]) & {"r2", "rmse", "coverage_90", "width_90"}
    # A falling line through one feature orders as the feature does.
    assert _value(report, "proxy:held_out_loss_nats", "spearman", "random-halves") == pytest.approx(
        _value(report, "linear:loss", "spearman", "random-halves")
    )


def test_reading_tables(report: ValidationReport) -> None:
    table = report.table(metrics=("r2", "spearman"))
    assert table.columns == ["model", "r2", "r2_sd", "spearman", "spearman_sd"]
    assert table["model"][0] == "linear:loss"
    assert report.table("nowhere").height == 0
    # Two bases are two cases, however well they go.
    assert not report.carries_across_bases("linear:both")
    three = validate(synthetic_corpus(60, problems=30, bases=3, seed=1).frame, ["linear:both"], "leave-one-base-out")
    assert three.carries_across_bases("linear:both")
    assert not three.carries_across_bases("mean")
    assert not three.carries_across_bases("never judged")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_with_the_target_permuted_nothing_is_predicted(protocol: str) -> None:
    means = {"linear:loss": [], "linear:both": [], "linear:both:log-logit": []}
    for seed in range(5):
        rng = np.random.default_rng(seed)
        frame = SLIM.with_columns(
            post_pass_at_1=rng.permutation(CORPUS.frame["post_pass_at_1"].to_numpy()),
        )
        if protocol == "leave-one-base-out":
            frame = frame.with_columns(CORPUS.frame["base_model"])
        report = validate(frame, list(means), protocol, repeats=20, seed=seed)
        for model, values in means.items():
            values.append(_value(report, model, "r2", protocol))
    for model, values in means.items():
        error = np.std(values, ddof=1) / np.sqrt(len(values))
        assert np.mean(values) <= 2.1 * error, (model, values)  # Student's t, 95 %


@pytest.mark.parametrize("protocol", ["random-halves", "k-fold", "leave-one-base-out"])
def test_with_the_target_permuted_no_kind_predicts(protocol: str) -> None:
    """Every kind, that which chooses among the others included: R² is not above 0 but for chance."""
    frame = synthetic_corpus(36, problems=20, samples_before=32, bases=3, seed=8).frame
    task = task_of(frame, "all", TARGET)
    models = [model for model in task.models if model.name in task.surrogates]
    assert {"auto", "lightgbm", "mixed", "effective_k", "sharpening"} <= {model.kind for model in models}
    found = {model.name: [] for model in models}
    for seed in range(4):
        y = np.random.default_rng(seed).permutation(task.rows.y)
        rows = task.rows._replace(y=y, frame=task.rows.frame.with_columns(post_pass_at_1=pl.Series(y)))
        bases = np.array(rows.bases)
        splits = {
            "random-halves": random_halves(np.arange(36), 3, seed),
            "k-fold": repeated_k_fold(np.arange(36), 4, 1, seed),
            "leave-one-base-out": leave_one_group_out(bases),
        }[protocol]
        arrangement = arrange(splits, bootstrap=0, seed=seed)
        for model in models:
            predicted = predictions(model, rows, splits, intervals=0)
            judged = judge(arrangement, y, predicted, np.unique(bases, return_inverse=True)[1])
            found[model.name].append(judged.repeats["r2"].mean())
    for name, values in found.items():
        error = np.std(values, ddof=1) / np.sqrt(len(values))
        assert np.mean(values) <= 2.4 * error, (name, values)  # Student's t, 95 %


def test_processes_change_nothing() -> None:
    frame = synthetic_corpus(16, problems=5, seed=9, nested=False).frame
    wanted = (frame, ["gaussian_process:both"], "random-halves")
    alone = validate(*wanted, scenarios=["all"], repeats=3)
    assert validate(*wanted, scenarios=["all"], repeats=3, jobs=2).frame.equals(alone.frame)


def test_anyones_table() -> None:
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(4), 60)
    names = ["web", "code", "books", "math"]
    frame = pl.DataFrame(weights, schema=names).with_columns(
        candidate=pl.Series([f"mix-{i}" for i in range(60)]),
        loss=pl.Series(2 + np.exp(weights @ [-1.0, 0.5, 0.0, 0.3]) + 0.02 * rng.normal(size=60)),
        size=pl.Series(["1b", "7b", "7b"] * 20),
    )
    found = validate(
        frame, ["ridge", "linear"], ["random-halves", "leave-one-base-out"], "loss",
        features=names[:3], groups="size", minimize=True, repeats=10, baseline="mean", top_m=2,
    )  # fmt: skip
    assert found.surrogates == ("ridge", "linear")
    assert {"mean", "linear:web", "linear:code"} <= set(found.frame["model"])
    assert set(found.frame["scenario"]) == {"all", "base:1b", "base:7b"}
    assert _value(found, "linear", "r2", "random-halves") > 0.9
    assert _value(found, "linear", "r2", "leave-one-base-out") > 0.9
    assert _value(found, "linear", "regret_2", "random-halves") < 0.02
    assert _value(found, "linear", "r2", "random-halves", "gain_low") > 0
    kinds = validate(frame, None, "random-halves", "loss", features=names[:3], minimize=True, repeats=2).surrogates
    assert {"lightgbm", "gaussian_process", "ridge"} <= set(kinds)
    assert not {"effective_k", "sharpening", "mean"} & set(kinds)


def test_intervals_cover_when_the_line_is_true() -> None:
    rng = np.random.default_rng(5)
    n = 400
    x = rng.normal(size=(n, 2))
    frame = pl.DataFrame(
        {
            "candidate": [f"c{i}" for i in range(n)],
            "a": x[:, 0],
            "b": x[:, 1],
            "score": 0.4 + x @ [0.1, -0.05] + rng.normal(0, 0.03, n),
        }
    )
    report = validate(frame, ["linear:a+b"], ["random-halves", "k-fold"], target="score", repeats=20)
    for protocol in ("random-halves", "k-fold"):
        assert 0.87 <= _value(report, "linear:a+b", "coverage_90", protocol) <= 0.93
        assert _value(report, "linear:a+b", "r2", protocol) == pytest.approx(1 - 0.03**2 / (0.0125 + 0.03**2), abs=0.02)


def test_everything_is_fitted_on_the_training_rows_alone() -> None:
    """A row's target must not change what is predicted for it: change the test targets, and the fit stays."""
    task = task_of(
        CORPUS.frame, ["linear:both", "linear:both:log-logit", "ridge:both:log-logit", "effective_k"], TARGET
    )
    first = random_halves(np.arange(len(task.rows.y)), 1, 0)[0]
    y = task.rows.y.copy()
    y[first.test] = 1 - y[first.test]
    outside = pl.int_range(pl.len()).is_in(first.test.tolist())
    poisoned = task.rows.frame.with_columns(
        pre_problems_count=pl.when(outside).then(3).otherwise("pre_problems_count"),
        post_pass_at_1=pl.Series(y),
    )
    for model in task.models[:4]:
        before = predictions(model, task.rows, [first])
        after = predictions(model, task.rows._replace(frame=poisoned, y=y), [first])
        for part in range(3):
            np.testing.assert_array_equal(before[part], after[part])


def test_the_seed_decides_and_row_order_of_other_rows_does_not() -> None:
    frame = SLIM
    once, again = (validate(frame, ["linear:both"], PROTOCOLS[:2], repeats=5, seed=3).frame for _ in range(2))
    assert once.equals(again)
    held = frame.head(10).with_columns(candidate=pl.col("candidate") + "-held", split=pl.lit("held_out"))
    frame = frame.with_columns(split=pl.lit("fit"))
    assert validate(pl.concat([held, frame]), ["linear:both"], PROTOCOLS[:2], repeats=5, seed=3).frame.equals(once)


def test_rl_seeds_stay_on_one_side() -> None:
    corpus = synthetic_corpus(20, rl_seeds=3, problems=20, seed=4)
    report = validate(corpus.frame, ["linear:both"], "random-halves", repeats=10)
    assert report.candidates == 20
    assert any("several RL seeds" in note for note in report.notes)


def test_lower_can_be_better() -> None:
    frame = SLIM.with_columns(error=1 - pl.col("post_pass_at_1"))
    up = validate(frame, ["linear:loss"], "k-fold")
    down = validate(frame.drop("post_pass_at_1"), ["linear:loss"], "k-fold", target="error", minimize=True)
    for metric in ("r2", "regret_1", "regret_3", "recall_3"):
        assert _value(up, "linear:loss", metric, "k-fold") == pytest.approx(
            _value(down, "linear:loss", metric, "k-fold")
        )


def test_what_cannot_be_judged_is_noted() -> None:
    frame = SLIM.with_columns(
        pre_pass_at_128=pl.when(pl.col("candidate") == "c0007").then(None).otherwise(0.5),
        base_model=pl.when(pl.col("candidate") < "c0050").then(pl.lit("big")).otherwise(pl.lit("small")),
        recipe_data_kind=pl.lit("one"),
        post_pass_at_1=pl.when(pl.col("candidate") == "c0001").then(None).otherwise("post_pass_at_1"),
    )
    report = validate(frame, ["linear:both"], ["random-halves", "leave-one-kind-out"], repeats=5)
    notes = "\n".join(report.notes)
    assert "1 rows without post_pass_at_1" in notes
    assert "proxy:pass_at_128 is left out, 1 candidates lack a measurement, e.g. 'c0007'" in notes
    assert "base:small: 10 candidates, fewer than 12" in notes
    assert "leave-one-kind-out: not judged" in notes
    assert "base:small" not in set(report.frame["scenario"])
    assert sum(note.startswith("noise ceiling (all, ") for note in report.notes) == 1


@pytest.mark.parametrize(
    ("frame", "arguments", "error", "message"),
    [
        (CORPUS.frame.head(8), {}, CorpusError, "8 finished candidates are too few"),
        (CORPUS.frame.drop("post_pass_at_1"), {}, CorpusError, "'post_pass_at_1' is missing"),
        (CORPUS.frame, {"surrogates": ["linear:nothing"]}, CorpusError, "'nothing' is missing"),
        (CORPUS.frame, {"surrogates": ["cubic:loss"]}, UsageError, "KIND"),
        (
            CORPUS.frame,
            {"surrogates": ["linear:loss:log"]},
            UsageError,
            "no transforms 'log'; did you mean 'log-logit'",
        ),
        (CORPUS.frame, {"surrogates": ["proxy:both"]}, UsageError, "a proxy is one feature"),
        (CORPUS.frame, {"surrogates": ["linear:post_pass_at_1"]}, UsageError, "known only after RL"),
        (CORPUS.frame, {"protocol": "bootstrap"}, UsageError, "unknown protocol 'bootstrap'"),
        (CORPUS.frame, {"scenarios": ["base:none"]}, UsageError, "unknown scenario 'base:none': the table has all, "),
        (CORPUS.frame, {"baseline": "foo"}, UsageError, "baseline 'foo' is not among the models"),
        (CORPUS.frame, {"top_m": 0}, UsageError, "top_m must be at least 1"),
        (CORPUS.frame, {"groups": "nowhere"}, CorpusError, "'nowhere' is missing, but rows are grouped by it"),
        (CORPUS.frame, {"features": ["recipe_data_kind"]}, CorpusError, "must be numbers"),
        (
            CORPUS.frame.with_columns(rl_recipe_id=pl.col("base_model")),
            {},
            IncomparableError,
            "2 RL recipes",
        ),
    ],
)
def test_bad_calls_are_refused(frame: pl.DataFrame, arguments: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        validate(frame, **arguments)


def test_pandas_and_files_are_read(tmp_path: pytest.TempPathFactory) -> None:
    frame = synthetic_corpus(16, problems=5, seed=9, nested=False).frame
    frame.write_parquet(tmp_path / "corpus.parquet")
    whole = validate(frame, ["linear:loss"], "random-halves", repeats=3)
    assert validate(tmp_path / "corpus.parquet", ["linear:loss"], "random-halves", repeats=3).frame.equals(whole.frame)
    assert validate(frame.to_pandas(), ["linear:loss"], "random-halves", repeats=3).frame.equals(whole.frame)


def test_columns_of_any_name_are_judged_as_what_they_are() -> None:
    """A plus, a comma or a colon in a column's name is no syntax."""
    rng = np.random.default_rng(0)
    table = pl.DataFrame(rng.random((24, 4)), schema=["web+code", "web", "code", "a:b"])
    report = validate(
        table.with_columns(y=pl.col("web+code")),
        ["ridge"],
        "random-halves",
        features=["web+code", "web", "code", "a:b"],
        target="y",
        repeats=5,
    )
    judged = report.frame.filter(metric="r2")
    own = dict(judged.select("model", "mean").rows())
    assert own["linear:web+code"] == pytest.approx(1.0)
    assert own["linear:a:b"] < 0.5
    assert judged.filter(model="linear:web+code")["features"].to_list() == ["web+code"]


def test_a_kind_that_some_split_does_not_allow_is_left_out_with_its_reason() -> None:
    """Runs of two lengths: a half in which all are equally long tells nothing of the steps."""
    steps = pl.when(pl.int_range(pl.len()) == 0).then(100).otherwise(200)
    report = validate(SLIM.with_columns(rl_steps=steps), ["saturating", "linear:loss"], "random-halves", repeats=12)
    assert "saturating" not in report.frame["model"].to_list()
    assert "linear:loss" in report.frame["model"].to_list()
    assert any("saturating is left out" in note for note in report.notes)
    with pytest.raises(CorpusError, match="all runs have the same 'rl_steps'"):
        validate(SLIM.with_columns(rl_steps=200), ["saturating"], "random-halves", repeats=3)


def test_a_table_is_checked_whatever_it_came_as() -> None:
    twice = pl.concat([SLIM, SLIM])
    with pytest.raises(CorpusError, match="appears 2 times"):
        validate(twice, ["linear:loss"], "random-halves", repeats=2)
    with pytest.raises(CorpusError, match="is this per cent"):
        validate(SLIM.with_columns(pl.col(TARGET) * 100), ["linear:loss"], "random-halves", repeats=2)
