"""Free rules that know the level of each base, and R² over groups that were left out."""

import numpy as np
import polars as pl
import pytest

from quagpredict.report.validation_tables import block_title, headings, single_rows, validation_rows
from quagpredict.report.verdict import headline
from quagpredict.validation import validate
from quagpredict.validation.baselines import models_of_bases
from quagpredict.validation.predicting import Rows, predictions
from quagpredict.validation.splits import leave_one_group_out, random_halves, repeated_k_fold

TARGET = "post_pass_at_1"


def table(n: int = 36, groups: int = 3, seed: int = 0) -> pl.DataFrame:
    """Candidates of several bases, whose score is that of the base and rises with Pass@64."""
    rng = np.random.default_rng(seed)
    base = rng.integers(0, groups, n)
    base[:groups] = np.arange(groups)
    coverage = rng.uniform(0.3, 0.9, n)
    return pl.DataFrame({
        "candidate": [f"c{row}" for row in range(n)],
        "base_model": [f"base-{code}" for code in base],
        "pre_pass_at_1": coverage * rng.uniform(0.1, 0.5, n),
        "pre_pass_at_64": coverage,
        TARGET: 0.1 * base + 0.4 * coverage + rng.normal(0, 0.03, n),
    })  # fmt: skip


def rows_of(frame: pl.DataFrame) -> Rows:
    return Rows(frame, frame[TARGET].to_numpy(), frame["base_model"].to_list(), TARGET, 0.0)


@pytest.mark.parametrize("model", models_of_bases(table()), ids=lambda model: model.name)
def test_a_level_for_each_base_is_least_squares_with_indicators(model) -> None:
    rows = rows_of(table())
    splits = random_halves(np.arange(36), 5, seed=1)
    found = predictions(model, rows, splits)
    of_base = (np.array(rows.bases)[:, None] == np.unique(rows.bases)).astype(float)
    X = np.column_stack([of_base, *(rows.frame[name].to_numpy() for name in model.features)])
    for number, split in enumerate(splits):
        weights = np.linalg.lstsq(X[split.train], rows.y[split.train], rcond=None)[0]
        np.testing.assert_allclose(found.mean[number], X @ weights, atol=1e-9)


def test_a_base_without_a_run_has_the_mean_of_the_others_means() -> None:
    rows = rows_of(table())
    mean, _, coverage = (
        predictions(model, rows, leave_one_group_out(rows.bases)) for model in models_of_bases(rows.frame)
    )
    levels = {base: rows.y[np.array(rows.bases) == base].mean() for base in set(rows.bases)}
    for number, split in enumerate(leave_one_group_out(rows.bases)):
        own = rows.bases[split.test[0]]
        others = np.mean([level for base, level in levels.items() if base != own])
        np.testing.assert_allclose(mean.mean[number, split.test], others)
        x = rows.frame["pre_pass_at_64"].to_numpy()[split.test]
        assert np.corrcoef(coverage.mean[number, split.test], x)[0, 1] == pytest.approx(1.0)


def test_the_mean_of_a_base_orders_bases_and_nothing_within_one() -> None:
    """Pooled over folds its values differ within a base, to the wrong side; they must not count."""
    rows = rows_of(table())
    model = models_of_bases(rows.frame)[0]
    splits = repeated_k_fold(np.arange(36), 5, 3)
    found = predictions(model, rows, splits)
    assert found.order is not None
    pooled = np.empty(36)
    for number, split in enumerate(splits[:5]):
        pooled[split.test] = found.order[number, split.test]
    assert len(np.unique(pooled)) == 3
    levels = [rows.y[np.array(rows.bases) == base].mean() for base in np.unique(rows.bases)]
    orders = [pooled[rows.bases.index(base)] for base in np.unique(rows.bases)]
    assert np.argsort(levels).tolist() == np.argsort(orders).tolist()


def test_of_one_base_there_is_nothing_to_know() -> None:
    assert models_of_bases(table(groups=1)) == []
    report = validate(table(), ["linear:pass_at_64"], "random-halves", repeats=3)
    names = dict.fromkeys(["base mean", "base and Pass@1", "base and Pass@64"])
    judged = {scenario: set(report.frame.filter(scenario=scenario)["model"]) for scenario in report.frame["scenario"]}
    assert judged["all"] >= set(names)
    assert all(not set(names) & models for scenario, models in judged.items() if scenario != "all")


def test_what_fails_with_a_group_left_out_is_not_called_best() -> None:
    """32 rows in 5 groups: a feature that tells the groups apart on halves says nothing of a new one."""
    rng = np.random.default_rng(3)
    group = np.repeat(np.arange(5), [7, 7, 6, 6, 6])
    level = np.array([0.2, 0.8, 0.3, 0.7, 0.25])
    frame = pl.DataFrame({
        "candidate": [f"c{row}" for row in range(32)],
        "scale": [f"{code}b" for code in group],
        "tells": np.array([0.0, 1.0, 0.1, 0.8, 0.05])[group] + rng.normal(0, 0.05, 32),
        "score": level[group] + rng.normal(0, 0.05, 32),
    })  # fmt: skip
    report = validate(
        frame, ["linear", "ridge"], ("random-halves", "leave-one-base-out"), "score",
        features=["tells"], groups="scale", repeats=10,
    )  # fmt: skip
    halves = report.frame.filter(scenario="all", protocol="random-halves", metric="r2", model="linear")["mean"][0]
    assert halves > 0.5
    first, second, *others = headline(report)
    assert first.startswith("Highest R² of 2 surrogates")
    assert second.startswith("With a scale left out it fails: R² pooled -")
    assert not any("Best of" in line for line in (first, second, *others))
    assert any(line.startswith("Pairs of a scale in order") for line in others)
    assert block_title(report, "all", "leave-one-base-out", 32) == "all, leave-one-scale-out, 32 candidates"
    assert list(headings(report, "leave-one-base-out").values())[:5] == [
        "pairs",
        "Spearman",
        "regret",
        "R² pooled",
        "R² median",
    ]
    assert "scale mean" in [row[0] for row in validation_rows(report, "all", "random-halves", ["r2"])]


def test_the_median_and_the_pooled_r2_are_those_of_the_groups() -> None:
    frame = table(40, groups=5)
    report = validate(frame, ["linear:pass_at_64"], "leave-one-base-out", scenarios=["all"])
    bases, y = frame["base_model"].to_numpy(), frame[TARGET].to_numpy()
    x, missed, varied = frame["pre_pass_at_64"].to_numpy(), [], []
    for base in np.unique(bases):
        fitted = np.polyval(np.polyfit(x[bases != base], y[bases != base], 1), x[bases == base])
        missed.append(((y[bases == base] - fitted) ** 2).sum())
        varied.append(((y[bases == base] - y[bases == base].mean()) ** 2).sum())
    kept = np.array([(bases == base).sum() >= 4 for base in np.unique(bases)])
    expected = {
        "r2_median": np.median((1 - np.array(missed) / varied)[kept]),
        "r2_pooled": 1 - np.array(missed)[kept].sum() / np.array(varied)[kept].sum(),
    }
    for metric, value in expected.items():
        row = report.frame.filter(model="linear:pass_at_64", metric=metric).row(0, named=True)
        assert row["mean"] == pytest.approx(value)
        assert row["repeats"] == kept.sum()


def test_rules_that_are_no_measurement_stand_beside_the_others() -> None:
    frame = table().with_columns(pre_held_out_loss_nats=pl.Series(np.linspace(0.2, 0.9, 36)))
    report = validate(frame, ["linear", "linear:pass_at_64"], "random-halves", scenarios=["all"], repeats=3)
    shown = [row[0] for row in single_rows(report, "all", "random-halves")]
    assert not any("," in name for name in shown)  # a surrogate of several measurements is no rule
    assert {"screening", "Pass@64", "loss", "Pass@1"} <= set(shown)
    assert "geometric mean" not in shown  # without counts by benchmark
    difference = report.frame.filter(scenario="all", metric="pairs_over_pass_at_k", model="proxy:screening")["mean"][0]
    pairs = report.frame.filter(scenario="all", metric="pairwise_accuracy")
    own, free = (pairs.filter(model=name)["mean"][0] for name in ("proxy:screening", "proxy:pass_at_64"))
    assert difference == pytest.approx(own - free)
