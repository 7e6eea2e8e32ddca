"""Overall scores weighted by benchmark: before and after RL alike."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.corpus import read_corpus
from quagpredict.corpus.benchmarks import benchmark_scores
from quagpredict.corpus.weights import benchmark_weights, weighted
from quagpredict.errors import CorpusError, UsageError
from quagpredict.ranking import rank
from quagpredict.shipped import shipped_path
from quagpredict.surrogates import fit, load_surrogate, save_surrogate
from quagpredict.validation import validate


@pytest.fixture(scope="module")
def runs() -> pl.DataFrame:
    """One base of the second lab, as if another team had measured it."""
    table = read_corpus(shipped_path("datasets/lab-2/corpus.parquet")).filter(pl.col("base_model") == "able")
    return table.unique("candidate", keep="first", maintain_order=True).with_columns(eval_protocol_id=pl.lit("mine"))


def before_rl(runs: pl.DataFrame, first: int) -> pl.DataFrame:
    """The same with the results of the first alone."""
    after = [name for name in runs.columns if name.startswith("post_")]
    done = pl.int_range(pl.len()) < first
    return runs.with_columns(pl.when(done).then(name).alias(name) for name in after)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0.1, 10.0), min_size=4, max_size=4))
def test_every_score_is_the_weighted_mean_of_the_benchmarks(runs: pl.DataFrame, given: list[float]) -> None:
    table = runs.head(5)
    names = benchmark_scores(table).names
    weights = dict(zip(names, given, strict=False))
    found = weighted(table, weights)
    share = np.array([weights.get(name, 1.0) for name in names])
    for stage in ("pre", "post"):
        expected = benchmark_scores(table, stage).share @ share / share.sum()
        np.testing.assert_allclose(found[f"{stage}_pass_at_1"], expected)
    assert (found["pre_pass_at_64"] >= found["pre_pass_at_1"]).all()
    assert "pre_problems" not in found.columns
    assert "post_pass_at_1_se" not in found.columns


def test_by_problems_is_what_there_is_without_weights(runs: pl.DataFrame) -> None:
    scores = benchmark_scores(runs)
    by_problems = dict(zip(scores.names, scores.problems.max(axis=0).tolist(), strict=True))
    plain, same = (rank(before_rl(runs, 6), weights=given) for given in (None, by_problems))
    assert same.surrogate == plain.surrogate == "hierarchical"
    for name in ("prediction", "low", "high"):
        np.testing.assert_allclose(same.frame.sort("candidate")[name], plain.frame.sort("candidate")[name], atol=1e-9)
    np.testing.assert_allclose(weighted(runs, by_problems)["pre_pass_at_64"], runs["pre_pass_at_64"])


def test_prediction_and_truth_are_weighted_alike(runs: pl.DataFrame) -> None:
    names = benchmark_scores(runs).names
    only = dict.fromkeys(names, 0.0) | {names[0]: 1.0, names[1]: 1.0}
    ranking = rank(before_rl(runs, 6), weights=only, truth=runs)
    after = benchmark_scores(runs, "post")
    share = after.share[:, [after.names.index(name) for name in names[:2]]].mean(axis=1)
    truth = dict(zip(runs["candidate"], share, strict=True))
    np.testing.assert_allclose(ranking.frame["actual"], [truth[name] for name in ranking.frame["candidate"]])
    assert ranking.by_benchmark is not None
    assert set(ranking.by_benchmark["benchmark"]) == set(names[:2])
    assert any(note.startswith("scores are weighted by benchmark") for note in ranking.notes)
    means = ranking.by_benchmark.group_by("candidate").agg(pl.col("prediction").mean())
    open_ = ranking.frame.filter(pl.col("low") < pl.col("high")).join(means, on="candidate", suffix="_mean")
    np.testing.assert_allclose(open_["prediction"], open_["prediction_mean"])


@pytest.mark.parametrize("surrogate", ["hierarchical", "ridge:both"])
def test_a_surrogate_keeps_its_weights(runs: pl.DataFrame, surrogate: str, tmp_path) -> None:
    name = benchmark_scores(runs).names[0]
    fitted = fit(runs[:10], surrogate, split=None, weights={name: 2})
    save_surrogate(fitted, tmp_path)
    again = load_surrogate(tmp_path)
    assert again.weights == {name: 2.0}
    ranking = rank(before_rl(runs[10:], 0), again, truth=runs, allow_mixed_protocols=True)
    np.testing.assert_allclose(
        ranking.frame.sort("candidate")["actual"],
        weighted(runs[10:], {name: 2}).sort("candidate")["post_pass_at_1"],
    )
    assert (
        rank(before_rl(runs[10:], 0), again, weights={name: 2}).frame["prediction"].equals(ranking.frame["prediction"])
    )
    with pytest.raises(UsageError, match="fitted to scores with other weights"):
        rank(runs[10:], again, weights={name: 3})
    with pytest.raises(UsageError, match=r"other weights \(none\)"):
        rank(runs[10:], fit(runs[:10], surrogate, split=None), weights={name: 3})


def test_validation_is_of_weighted_scores(runs: pl.DataFrame) -> None:
    name = benchmark_scores(runs).names[0]
    settings = {"protocol": "random-halves", "scenarios": ["all"], "repeats": 2, "split": None}
    report = validate(runs, ["linear:pass_at_64"], weights={name: 5}, **settings)
    assert report.frame.equals(validate(weighted(runs, {name: 5}), ["linear:pass_at_64"], **settings).frame)


def test_a_benchmark_that_was_measured_after_rl_alone_does_not_count_and_is_told(runs: pl.DataFrame) -> None:
    fewer = pl.col("pre_problems").list.eval(pl.element().filter(pl.element().struct.field("benchmark") != "fill"))
    table = runs.with_columns(fewer)
    names = benchmark_scores(table).names
    assert "fill" not in names
    after = benchmark_scores(table, "post").at(names).share
    np.testing.assert_allclose(weighted(table, {names[0]: 1})["post_pass_at_1"], after.mean(axis=1))
    ranking = rank(before_rl(table, 6), weights={names[0]: 1})
    assert any(
        "measured after RL and not before, so not predicted by benchmark: fill" in note for note in ranking.notes
    )


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"aime": 2}, "not among the benchmarks of the table"),
        ({"math": -1}, "expected a number of at least 0"),
        ({"math": float("nan")}, "expected a number of at least 0"),
        ({"math": 0, "gsm8k": 0}, "leave no benchmark"),
    ],
)
def test_wrong_weights_are_refused(weights: dict[str, float], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        benchmark_weights(weights, ("gsm8k", "math"))


def test_no_result_is_lost(runs: pl.DataFrame) -> None:
    name = benchmark_scores(runs).names[0]
    with pytest.raises(CorpusError, match=r"2\d finished candidates lack the counts of each problem after RL"):
        weighted(runs.drop("post_problems"), {name: 2})
    with pytest.raises(CorpusError, match="weights of benchmarks need the counts of each problem"):
        weighted(runs.drop("pre_problems"), {name: 2})


@pytest.mark.parametrize("target", ["post_pass_at_8", "post_maj_at_16"])
def test_other_scores_after_rl_go_the_same_way(runs: pl.DataFrame, target: str) -> None:
    """The prior is of Pass@1: its slopes carry over, the level of Pass@8 or maj@16 is learnt from results."""
    table = runs.with_columns(post_maj_at_16=pl.col("post_pass_at_1") ** 0.7)
    ranking = rank(before_rl(table, 8), target=target)
    assert ranking.surrogate == "hierarchical"
    assert any(f"the level of '{target}' is learnt from these results alone" in note for note in ranking.notes)
    others = ranking.frame.filter(pl.col("low") < pl.col("high"))
    truth = dict(table.select("candidate", target).iter_rows())
    actual = np.array([truth[name] for name in others["candidate"]])
    assert np.corrcoef(actual, others["prediction"])[0, 1] > 0.5
    assert abs(actual.mean() - others["prediction"].mean()) < 0.1
    inside = (others["low"].to_numpy() <= actual) & (actual <= others["high"].to_numpy())
    assert inside.mean() > 0.7
    assert rank(before_rl(table, 0), target=target).surrogate is None  # with no result the level is not known
