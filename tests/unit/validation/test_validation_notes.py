"""What a validation says beside its scores: what was left out, and what the noise ceilings rest on."""

import polars as pl

from quagpredict.testing.synthetic import synthetic_corpus
from quagpredict.validation import validate

#: One scenario and few measurements: quick to judge.
RUNS = synthetic_corpus(40, problems=20, seed=1).frame.select(
    "candidate", "recipe_data_kind", "post_pass_at_1", "pre_held_out_loss_nats", "pre_pass_at_1", "pre_pass_at_64"
)


def test_models_that_too_few_rows_are_left_for_are_named_in_one_note() -> None:
    kinds = pl.when(pl.int_range(pl.len()) < 2).then(pl.lit("rare")).otherwise(pl.lit("common"))
    report = validate(
        RUNS.with_columns(recipe_data_kind=kinds), ["linear:both"], "leave-one-kind-out", scenarios=["all"]
    )
    (said,) = [note for note in report.notes if "too few rows" in note]
    assert said.startswith("all, leave-one-kind-out: ")
    assert "(2): linear:both, mean, " in said
    left_out = set(said.rpartition(": ")[2].split(", "))
    assert left_out.isdisjoint(report.frame["model"])
    assert "proxy:pass_at_64" in set(report.frame["model"])


def test_the_ceiling_of_a_scenario_without_rl_seeds_counts_the_noise_of_the_table() -> None:
    runs = synthetic_corpus(60, problems=20, samples_after=16, rl_seeds=2, rl_noise=0.6, seed=5).frame
    lower = pl.col("recipe_scenario") == "instance-level"
    once = runs.filter(~lower | (pl.col("rl_seed") == runs["rl_seed"].min()))
    wanted = ["instance-level"]
    ceilings = {}
    for name, frame in (("with", once), ("without", once.filter(lower))):
        report = validate(frame, ["linear:both"], "k-fold", scenarios=wanted)
        ceilings[name] = report.frame.filter(model="noise ceiling", metric="r2")["mean"].item()
        (said,) = [note for note in report.notes if note.startswith("noise ceiling")]
        assert ("is that of others" in said) == (name == "with")
    assert ceilings["with"] < ceilings["without"]


def test_what_the_sft_seed_hides_from_the_recipe_is_said_once() -> None:
    seeds = synthetic_corpus(40, problems=20, samples_after=16, bases=1, nested=True, seed=2).frame
    number = pl.int_range(pl.len())
    same = {"recipe_data_kind": pl.lit("a"), "recipe_scenario": pl.lit("dataset-level")}
    twins = seeds.with_columns(recipe_unique_examples=number // 2, recipe_seed=number % 2, **same)
    for frame, times in ((twins, 1), (twins.with_columns(recipe_seed=0, recipe_unique_examples=number), 0)):
        notes = validate(frame, ["linear:both"], "k-fold", scenarios=["all", "dataset-level"]).notes
        said = [note for note in notes if note.startswith("the SFT seed is noise")]
        assert len(said) == times
        assert all("its R² is at most: all 0." in note for note in said)
