import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from quagpredict.errors import CorpusError, UsageError
from quagpredict.replication.auditing import COMPARISONS, PAIRS, audit
from quagpredict.shipped import shipped_path
from quagpredict.testing.synthetic import synthetic_corpus


def _runs(scores: dict[str, tuple[float, float]], problems: int = 200, samples: int = 32, seed: int = 0, **columns):
    """A table whose true scores before and after RL are given, with counts on shared problems."""
    rng = np.random.default_rng(seed)
    effect = rng.normal(0, 0.8, problems)
    rows = []
    for number, (name, both) in enumerate(scores.items()):
        row = {"candidate": name, "base_model": "b"} | {key: values[number] for key, values in columns.items()}
        for stage, score in zip(("pre", "post"), both, strict=True):
            p = 1 / (1 + np.exp(-(np.log(score / (1 - score)) + effect)))
            counts = rng.binomial(samples, p)
            row[f"{stage}_pass_at_1"] = float(counts.mean() / samples)
            row[f"{stage}_problems"] = [
                {"benchmark": "x", "problem_id": str(j), "n": samples, "c": int(c)} for j, c in enumerate(counts)
            ]
        rows.append(row)
    return pl.DataFrame(rows)


def test_a_planted_reversal_is_found_and_nothing_else() -> None:
    frame = _runs({"sharp": (0.6, 0.5), "broad": (0.4, 0.8), "weak": (0.2, 0.3)}, recipe_data_kind=["x", "y", "y"])
    found = audit(frame)
    assert found.pairs.columns == list(PAIRS)
    assert (found.tested, found.reversed) == (3, 1)
    row = found.pairs.row(0, named=True)
    assert (row["by_sft"], row["by_rl"], row["differs"]) == ("sharp", "broad", "data kind")
    assert row["before_low"] < 0.18 < row["before_high"]
    assert row["after_low"] < -0.27 < row["after_high"]
    assert row["q"] < 0.01
    assert found.by_factor.row(0, named=True) == {
        "differs": "data kind", "tested": 2, "reversed_observed": 1, "reversed": 1,
    }  # fmt: skip
    assert "paired over 200 problems" in found.notes[-1]


def test_false_reversals_are_rare_where_none_is_true() -> None:
    """Equal candidates, and pairs in one order: the share of corpora with a listed pair stays below the level."""
    listed = 0
    for seed in range(60):
        scores = {f"c{i}": (0.3, 0.6) for i in range(6)} | {f"d{i}": (0.4, 0.7) for i in range(4)}
        found = audit(_runs(scores, problems=60, samples=16, seed=seed))
        assert found.expected_false == pytest.approx(0.05 * 45)
        listed += found.reversed > 0
    assert listed <= 6  # 5 % of 60 are 3; more than 6 has a chance of 3 %


def test_matched_recipes() -> None:
    """Half x 2 sharpens and loses what all x 1 gains; more epochs keep their order; SFT on `bad` loses to none."""
    cells = {
        "all-x1": ("good", 1000, 1.0, (0.3, 0.8)), "half-x2": ("good", 500, 2.0, (0.5, 0.6)),
        "half-x1": ("good", 500, 1.0, (0.2, 0.5)), "bad": ("bad", 1000, 1.0, (0.6, 0.3)),
        "none": ("none", 0, 0.0, (0.1, 0.45)),
    }  # fmt: skip
    kinds, unique, epochs, scores = zip(*cells.values(), strict=True)
    frame = _runs(
        dict(zip(cells, scores, strict=True)),
        recipe_data_kind=kinds, recipe_unique_examples=unique, recipe_epochs=epochs,
        recipe_scenario=["dataset-level"] * 4 + ["no-sft"],
    )  # fmt: skip
    found = audit(frame).comparisons
    assert found.columns == list(COMPARISONS)
    verdicts = {(row["factor"], row["first"], row["second"]): row for row in found.iter_rows(named=True)}
    repeated = verdicts["repeated data", "1/2 x 2 epochs", "all x 1"]
    assert (repeated["verdict"], repeated["pairs"]) == ("reverses", 1)
    assert repeated["before"] == pytest.approx(0.2, abs=0.05)
    assert repeated["after"] == pytest.approx(-0.2, abs=0.05)
    assert verdicts["epochs", "2", "1"]["verdict"] == "same order"
    assert verdicts["unique examples", "1000", "500"]["verdict"] == "same order"
    assert verdicts["data kind", "good", "bad"]["verdict"] == "reverses"
    assert verdicts["SFT", "SFT on bad", "RL from the base"]["verdict"] == "reverses"
    assert verdicts["SFT", "SFT on good", "RL from the base"]["verdict"] == "same order"


def test_checkpoints_of_an_sft_run_are_compared_with_its_end_and_with_nothing_else() -> None:
    """Ends of runs of 1, 4 and 16 epochs are matched though their plans differ; a checkpoint with its own run only."""
    cells = {
        "all-x1": (1024, 1.0, 1.0), "all-x4": (1024, 4.0, 4.0), "all-x16": (1024, 16.0, 16.0),
        "quarter-x4": (256, 4.0, 4.0), "all-x16@4": (1024, 4.0, 16.0), "all-x16@1": (1024, 1.0, 16.0),
    }  # fmt: skip
    unique, epochs, planned = zip(*cells.values(), strict=True)
    frame = _runs(
        dict(zip(cells, [(0.3, 0.8), (0.4, 0.7), (0.6, 0.4), (0.2, 0.2), (0.5, 0.6), (0.3, 0.75)], strict=True)),
        recipe_unique_examples=unique, recipe_epochs=epochs, recipe_planned_epochs=planned,
    )  # fmt: skip
    found = audit(frame)
    assert found.comparisons.select("factor", "first", "second", "pairs").rows() == [
        ("unique examples", "1024", "256", 1),
        ("epochs", "16", "1", 1),
        ("epochs", "16", "4", 1),
        ("epochs", "4", "1", 2),  # of finished runs, and of the two checkpoints
        ("checkpoint of", "16", "0", 2),
        ("epochs", "the most", "the fewest", 1),
        ("repeated data", "1/4 x 4 epochs", "all x 1", 1),
        ("checkpoint", "the whole SFT run", "1/4 of it", 1),
        ("checkpoint", "the whole SFT run", "1/16 of it", 1),
    ]
    effects = {row["second"]: row for row in found.comparisons.filter(factor="checkpoint").iter_rows(named=True)}
    assert effects["1/16 of it"]["verdict"] == "reverses"
    assert effects["1/16 of it"]["after"] == pytest.approx(-0.35, abs=0.06)
    differs = set(found.by_factor["differs"])
    assert {"checkpoint of", "epochs", "epochs, checkpoint of"} <= differs


def test_no_recipe_is_twice_in_one_comparison() -> None:
    """N x 1, N/2 x 2 and N/4 x 4: both repeated ones are compared with N x 1, never with one another."""
    frame = _runs(
        {"x1": (0.3, 0.8), "x2": (0.4, 0.7), "x4": (0.5, 0.6)},
        recipe_unique_examples=[400, 200, 100], recipe_epochs=[1.0, 2.0, 4.0],
    )  # fmt: skip
    assert audit(frame).comparisons.select("first", "second", "pairs").rows() == [
        ("1/2 x 2 epochs", "all x 1", 1),
        ("1/4 x 4 epochs", "all x 1", 1),
    ]


def test_seeds_of_one_recipe_are_one_cell_and_other_recipe_columns_are_factors() -> None:
    scores = {name: (0.3, 0.5 + 0.1 * (name > "b")) for name in ("a0", "a1", "b0", "b1")}
    frame = _runs(scores, recipe_temperature=[1.0, 1.0, 2.0, 2.0], recipe_seed=[0, 1, 0, 1])
    found = audit(frame)
    assert found.comparisons.select("factor", "pairs").rows() == [("temperature", 1)]
    assert set(found.by_factor["differs"]) == {"temperature", "seed"}


def test_rl_seeds_are_averaged_and_their_noise_counts() -> None:
    corpus = synthetic_corpus(12, rl_seeds=3, rl_noise=0.5, seed=2)
    found = audit(corpus.frame)
    assert found.candidates == 12
    assert found.tested == 30
    assert any("RL seed noise, standard deviation in points" in note for note in found.notes)
    width = (found.pairs["after_high"] - found.pairs["after_low"]).mean()
    single = audit(corpus.frame.filter(rl_seed=0)).pairs
    assert width > (single["after_high"] - single["after_low"]).mean()


def test_without_counts_the_standard_errors_serve() -> None:
    frame = _runs({"sharp": (0.6, 0.5), "broad": (0.4, 0.8)}).drop("pre_problems", "post_problems")
    blind = audit(frame)
    assert (blind.tested, blind.reversed, blind.pairs.height) == (0, 0, 1)
    assert "was not tested" in blind.notes[-1]
    known = audit(frame.with_columns(pre_pass_at_1_se=0.02, post_pass_at_1_se=0.02))
    assert (known.tested, known.reversed) == (1, 1)
    assert "as if independent" in " ".join(known.notes)


def test_a_candidate_without_standard_error_spoils_its_own_comparisons_only() -> None:
    scores = {"a": (0.6, 0.5), "b": (0.4, 0.8), "c": (0.5, 0.6), "d": (0.3, 0.7)}
    frame = _runs(scores, recipe_learning_rate=[1, 2, 1, 2], recipe_data_kind=["x", "x", "y", "y"])
    frame = frame.drop("pre_problems", "post_problems")
    known = frame.with_columns(pre_pass_at_1_se=pl.Series([0.02, 0.02, 0.02, None]), post_pass_at_1_se=0.02)
    rows = {row["first"]: row for row in audit(known.filter(pl.col("candidate") != "c")).comparisons.to_dicts()}
    assert rows["2"]["before_low"] is not None
    assert rows["y"]["before_low"] is None
    assert rows["y"]["verdict"] == "unclear"
    counted = audit(known)
    assert counted.by_factor["tested"].sum() == counted.tested == 3


def test_rl_seeds_of_a_candidate_do_not_sharpen_its_score_before_rl() -> None:
    once = _runs({"a": (0.6, 0.5), "b": (0.4, 0.8)}).drop("pre_problems", "post_problems")
    once = once.with_columns(pre_pass_at_1_se=0.02, post_pass_at_1_se=0.02)
    four = pl.concat([once.with_columns(rl_seed=pl.lit(seed)) for seed in range(4)])
    before = [audit(table).pairs.select(pl.col("before_high") - pl.col("before")).item() for table in (once, four)]
    assert before[0] == pytest.approx(before[1])


def test_unknown_epochs_and_a_checkpoint_of_none_are_compared_with_nothing() -> None:
    frame = _runs(
        {"a": (0.6, 0.5), "b": (0.4, 0.8), "c": (0.5, 0.6), "d": (0.2, 0.2)},
        recipe_unique_examples=[8, 8, 8, 8], recipe_epochs=[4.0, 2.0, None, 0.0],
        recipe_planned_epochs=[4.0, 4.0, None, 4.0],
    )  # fmt: skip
    found = audit(frame).comparisons
    assert found.filter(factor="checkpoint").select("second", "pairs").rows() == [("1/2 of it", 1)]


def test_which_candidate_has_no_sft_is_told_by_the_recipe_and_not_by_its_name() -> None:
    frame = _runs({"one": (0.6, 0.4), "two": (0.3, 0.7)}, recipe_scenario=["no-sft", "dataset-level"])
    assert audit(frame).without_sft == ("one",)


def test_the_shipped_corpus() -> None:
    found = audit(shipped_path("datasets/lab-pilot/corpus.parquet"))
    assert found.tested == 600
    assert 0 < found.reversed <= found.reversed_singly <= found.reversed_observed
    shown = found.pairs.filter(pl.col("q") <= 0.05)
    assert shown.height == found.reversed
    assert (shown["before_low"] > 0).all()
    assert (shown["after_high"] < 0).all()
    assert found.by_factor["tested"].sum() == 600


@pytest.mark.parametrize(
    ("frame", "arguments", "error", "message"),
    [
        (_runs({"a": (0.3, 0.5)}), {}, CorpusError, "no base model has two finished candidates"),
        (_runs({"a": (0.3, 0.5)}).drop("pre_pass_at_1"), {}, CorpusError, "'pre_pass_at_1' is missing"),
        (_runs({"a": (0.3, 0.5)}).drop("post_pass_at_1"), {}, CorpusError, "'post_pass_at_1' is missing"),
        (_runs({"a": (0.3, 0.5)}), {"level": 1.0}, UsageError, "level must lie strictly between 0 and 1"),
    ],
)
def test_bad_calls_are_refused(frame, arguments, error, message) -> None:
    with pytest.raises(error, match=message):
        audit(frame, **arguments)


def test_a_base_is_judged_by_its_own_repeated_runs() -> None:
    """Its pairs are what they would be in a table of its own, however noisy the runs of another base are."""
    corpus = synthetic_corpus(24, rl_seeds=3, rl_noise=0.05, seed=4).frame
    rng = np.random.default_rng(0)
    other = corpus["base_model"] == "base-1"
    noisy = np.clip(corpus["post_pass_at_1"].to_numpy() + other.to_numpy() * rng.normal(0, 0.2, corpus.height), 0, 1)
    mixed = corpus.with_columns(post_pass_at_1=pl.Series(noisy))
    alone = audit(mixed.filter(~other)).pairs.sort("by_sft", "by_rl")
    among = audit(mixed).pairs.filter(base_model="base-0").sort("by_sft", "by_rl")
    # A product of matrices of another size may differ in the last bit.
    assert_frame_equal(among.drop("q"), alone.drop("q"), rel_tol=1e-9, abs_tol=1e-15)
    whole = audit(mixed)
    assert any("base-0 " in note and "base-1 " in note for note in whole.notes)
    # The count is a range: what is known of dependence and of the seeds of each base decides it.
    assert 0 < whole.reversed_under_any_dependence < whole.reversed
    assert whole.reversed_with_one_noise < whole.reversed  # the steady base is taken to be as noisy as the other
    assert audit(corpus.filter(~other)).reversed_with_one_noise == audit(corpus.filter(~other)).reversed
    few = mixed.filter(~other | (pl.col("rl_seed") == 0))  # base-1 was not repeated: all together speak for it
    assert not any("base-1 " in note for note in audit(few).notes)
