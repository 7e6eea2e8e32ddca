"""What must not change a ranking: where rows and columns stand, what a table came as, what things are called."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.corpus import write_corpus
from quagpredict.errors import QuagpredictError
from quagpredict.racing import race
from quagpredict.ranking import rank
from quagpredict.replication.auditing import audit
from quagpredict.schema import BY_NAME
from quagpredict.surrogates import fit
from quagpredict.validation import validate
from quagpredict.validation.free_orders import GEOMETRIC

NESTED = ("pre_problems", "post_problems")
BENCHMARKS = ("fill", "plain", "sort", "turn")
# Chances are drawn: where columns stand in another order they differ within the error of the draws.
DRAWN = ("p_best", "p_top_3", "expected_regret")
SURROGATES = ("default", "fit", "none", "average:both:log-logit", "effective_k")

#: Makes a table with a gap of one.
Gap = Callable[[pl.DataFrame], pl.DataFrame]


@cache
def corpus() -> pl.DataFrame:
    """Runs of two bases, one with two RL seeds, under a protocol that no shipped surrogate knows."""
    runs = pl.read_parquet("datasets/lab-2/corpus.parquet")
    twice = runs.filter(pl.len().over("candidate") > 1)["candidate"].unique().sort()[:1]
    others = runs.filter(pl.len().over("candidate") == 1)[::4]
    rows = pl.concat([runs.filter(pl.col("candidate").is_in(twice.implode())), others])
    return rows.with_columns(eval_protocol_id=pl.lit("mine")).drop("rl_curve", "post_curve")


def nulled(columns: str, rows: list[int]) -> Gap:
    def gap(table: pl.DataFrame) -> pl.DataFrame:
        there = pl.int_range(pl.len()).is_in(rows)
        return table.with_columns(pl.when(~there).then(pl.col(columns)).name.keep())

    return gap


def only(counts: pl.Expr, rows: list[int]) -> Gap:
    def gap(table: pl.DataFrame) -> pl.DataFrame:
        there = pl.int_range(pl.len()).is_in(rows)
        return table.with_columns(pre_problems=pl.when(there).then(counts).otherwise("pre_problems"))

    return gap


def without(*columns: str) -> Gap:
    return lambda table: table.drop(columns)


COUNTS = pl.col("pre_problems")
GAPS: dict[str, Gap] = {
    "none": lambda table: table,
    "a candidate without counts": nulled("^pre_problems$", [3]),
    "a candidate with empty counts": only(COUNTS.list.head(0), [3]),
    "a candidate without a benchmark": only(
        COUNTS.list.eval(pl.element().filter(pl.element().struct.field("benchmark") != BENCHMARKS[0])), [4]
    ),
    "a candidate with fewer problems": only(COUNTS.list.gather_every(3), [5]),
    "a candidate without loss": nulled("^pre_held_out_loss_nats$", [6]),
    "a candidate without base": nulled("^base_model$", [6]),
    "no base": without("base_model"),
    "no counts": without(*NESTED),
}
FINISHED = {"all": [], "some": list(range(0, 20, 2)), "none": list(range(20))}


def table_of(gap: str, finished: str) -> pl.DataFrame:
    return nulled("^post_.*$", FINISHED[finished])(GAPS[gap](corpus()))


def told(table: Any, surrogate: str = "default", *, drawn: bool = True, notes: bool = True) -> dict[Any, Any]:
    """What a ranking says, with the numbers of each candidate by name; the error where there is none."""
    try:
        ranking = rank(table, surrogate)
    except QuagpredictError as error:
        return {"error": type(error).__name__}
    cells = ranking.by_benchmark
    said = {
        "order": ranking.frame["candidate"].to_list(),
        "surrogate": ranking.surrogate,
        "free": ranking.free_choices,
        "outcome": ranking.outcome and [tuple(choice) for choice in ranking.outcome.choices],
        "flags": sorted((flag.candidate, flag.kind) for flag in ranking.flags),
        "notes": ranking.notes if notes else (),
        "by benchmark": [] if cells is None else cells.sort("candidate", "before").drop("benchmark").rows(),
    }
    numbers = [name for name, dtype in ranking.frame.schema.items() if dtype.is_numeric() and name not in DRAWN]
    chances = [name for name in DRAWN if drawn and name in ranking.frame.columns]
    said["drawn"] = ranking.frame.select("candidate", *chances).rows()
    return said | ranking.frame.select("candidate", *numbers).rows_by_key("candidate", unique=True)


def assert_same(one: Any, other: Any, within: float = 1e-9) -> None:
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for name in one:
            # Draws are of single precision, which a last digit elsewhere may tip.
            assert_same(one[name], other[name], 1e-5 if name == "drawn" else within)
    elif isinstance(one, (tuple, list)):
        assert len(one) == len(other), (one, other)
        for mine, theirs in zip(one, other, strict=True):
            assert_same(mine, theirs, within)
    elif isinstance(one, float) and isinstance(other, float):
        assert one == pytest.approx(other, rel=1e-9, abs=within, nan_ok=True)
    else:
        assert one == other


tables = st.builds(table_of, st.sampled_from(list(GAPS)), st.sampled_from(list(FINISHED)))
surrogates = st.sampled_from(SURROGATES)


@settings(max_examples=12)
@given(table=tables, surrogate=surrogates, seed=st.integers(0, 99))
def test_the_order_of_rows_says_nothing(table: pl.DataFrame, surrogate: str, seed: int) -> None:
    shuffled = table.sample(fraction=1.0, shuffle=True, seed=seed)
    assert_same(told(table, surrogate), told(shuffled, surrogate))


@settings(max_examples=12)
@given(table=tables, surrogate=surrogates, data=st.data())
def test_columns_in_another_order_and_more_of_them_say_nothing(
    table: pl.DataFrame, surrogate: str, data: st.DataObject
) -> None:
    others = table.with_columns(zz_number=pl.int_range(pl.len()), zz_text=pl.lit("x"), pre_pass_at_512=pl.lit(None))
    columns = data.draw(st.permutations(others.columns))
    counts = [name for name in NESTED if name in others.columns]
    assert_same(
        told(table, surrogate), told(others.select(columns).with_columns(pl.col(counts).list.reverse()), surrogate)
    )


@settings(max_examples=12)
@given(table=tables, surrogate=surrogates, form=st.sampled_from(["sealed", "unsealed", "many", "jsonl", "pandas"]))
def test_a_table_says_the_same_whatever_it_came_as(
    tmp_path_factory: pytest.TempPathFactory, table: pl.DataFrame, surrogate: str, form: str
) -> None:
    folder = tmp_path_factory.mktemp("table")
    given_as: Any = folder / f"table.{'jsonl' if form == 'jsonl' else 'parquet'}"
    if form == "sealed":
        write_corpus(table, given_as)
    elif form == "unsealed":
        table.write_parquet(given_as)
    elif form == "many":
        given_as = folder
        for number, row in enumerate(table.iter_slices(1)):
            write_corpus(row, Path(folder) / f"{number:02d}.parquet")
    elif form == "jsonl":
        table.write_ndjson(given_as)
    else:
        given_as = table.to_pandas()
    assert_same(told(table, surrogate), told(given_as, surrogate))


NAMES = {
    "in their order": ("a-1", "b=2", "c]3.pass_at_4", "d.pass_at_1"),
    "as parts by difficulty": ("easy", "hard", "medium", "other"),
    "as two parts by difficulty": ("easy", "hard", "x", "y"),
    "in another order": ("9", "10", "2", "1"),
    "one without a name": (None, "b", "c", "d"),
    "one with an empty name": ("", "b", "c", "d"),
}


def renamed(table: pl.DataFrame, names: tuple[str | None, ...]) -> pl.DataFrame:
    calls = dict(zip(BENCHMARKS, names, strict=True))
    other = pl.element().struct.with_fields(pl.field("benchmark").replace_strict(calls))
    return table.with_columns(pl.col(name).list.eval(other) for name in NESTED if name in table.columns)


@pytest.mark.parametrize("finished", FINISHED)
@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("surrogate", ["default", "fit"])
def test_what_benchmarks_are_called_says_nothing(surrogate: str, names: str, finished: str) -> None:
    table = table_of("none", finished)
    kept = names != "in another order"  # columns stand in the order of the names
    wanted = told(table, surrogate, drawn=kept, notes=False)
    assert_same(wanted, told(renamed(table, NAMES[names]), surrogate, drawn=kept, notes=False))
    if surrogate != "fit" or finished != "none":
        assert GEOMETRIC in [choice.rule for choice in wanted["free"]]


def test_parts_by_difficulty_do_not_mix_with_a_benchmark_of_that_name() -> None:
    table = table_of("none", "some")
    one = table.with_columns(
        pl.col(NESTED).list.eval(pl.element().filter(pl.element().struct.field("benchmark") == BENCHMARKS[0]))
    )
    called = {name: renamed(one, (name, "x", "y", "z")) for name in ("easy", "fill")}
    parts = [name for name in table.columns if name.startswith("pre_pass_at_1_")]
    assert len(parts) >= 3
    without_parts = told(called["fill"].drop(parts), notes=False)
    assert_same(without_parts, told(called["easy"].drop(parts), notes=False))
    # The counts are of that benchmark alone, so what they say of "easy" is no part.
    assert_same(without_parts, told(called["easy"], notes=False))


def test_a_rule_that_costs_nothing_does_not_depend_on_the_surrogate() -> None:
    table = table_of("none", "some")
    free = rank(table).free_choices
    assert GEOMETRIC in [choice.rule for choice in free]
    for surrogate in ("fit", "none", "linear:both", fit(table, "linear:both")):
        assert rank(table, surrogate).free_choices == free


def test_a_model_is_judged_the_same_whoever_is_judged_beside_it() -> None:
    table = table_of("none", "all")
    how: dict[str, Any] = {"protocol": "random-halves", "scenarios": ["all"], "repeats": 2}
    together = validate(table, ["effective_k", "hierarchical", "sharpening"], **how).frame
    for name in ("effective_k", "hierarchical", "sharpening"):
        alone = validate(table, [name], **how).frame.filter(model=name)
        assert_same(alone.rows(), together.filter(model=name).rows())


def test_the_order_of_rows_says_nothing_of_a_race() -> None:
    runs = pl.read_parquet("datasets/lab-race/corpus.parquet").filter(pl.col("candidate") != "pine.no-sft")
    along = runs.select("candidate", pl.col("post_curve").list.head(2)).explode("post_curve").unnest("post_curve")
    along = along.select("candidate", "step", "pass_at_1", "pass_at_16")
    candidates = runs.select("candidate", "base_model", "^pre_pass_at_[0-9]+$", "pre_held_out_loss_nats")
    first = race(candidates, along, rl_steps=100, budget=300)
    shuffled = candidates.sample(fraction=1.0, shuffle=True, seed=1)
    again = race(shuffled, along.reverse(), rl_steps=100, budget=300)
    assert_same(first.frame.rows(), again.frame.rows())
    assert_same(first.expected_regret, again.expected_regret)


def numbers_of_ones_own() -> pl.DataFrame:
    """Features and a target that the schema does not know, each with gaps, and a candidate with one run of two."""
    x = [float(number * number % 17) for number in range(20)]
    table = pl.DataFrame({"candidate": [f"m{number:02d}" for number in range(20)], "x": x}).with_columns(
        rl_seed=pl.lit(0, pl.Int64)
    )
    score = pl.when(pl.int_range(pl.len()) % 3 > 0).then(pl.col("x").sqrt() + pl.int_range(pl.len()) % 2)
    table = table.with_columns(gaps=pl.when(pl.int_range(pl.len()) != 4).then("x"), score=score)
    return pl.concat([table, table[1:2].with_columns(rl_seed=pl.lit(1, pl.Int64), score=pl.lit(None, pl.Float64))])


@pytest.mark.parametrize("features", ["x", "all-numeric"])
def test_a_missing_number_of_ones_own_may_be_null_or_nan(tmp_path: Path, features: str) -> None:
    nulls = numbers_of_ones_own()
    nans = nulls.with_columns(pl.col("gaps", "score").fill_null(float("nan")))
    nans.write_csv(tmp_path / "nan.csv")

    def say(table: Any) -> Any:
        ranking = rank(table, "linear", features=features, target="score", truth=table)
        judged = validate(table, "linear", "random-halves", "score", features=features, repeats=2)
        told_of = (ranking.notes, ranking.finished, ranking.outcome and tuple(ranking.outcome.choices))
        return *ranking.frame.drop("drivers", "flags").rows(), told_of, *judged.frame.rows()

    for other in (nans, nulls.to_pandas(), tmp_path / "nan.csv"):
        assert_same(say(nulls), say(other))


def test_an_audit_does_not_depend_on_where_rows_and_columns_stand() -> None:
    table = table_of("none", "all")
    columns = sorted(table.columns, reverse=True)
    other = audit(table.sample(fraction=1.0, shuffle=True, seed=1).select(columns))
    for name, value in vars(audit(table)).items():
        mine, theirs = (part.rows() if isinstance(part, pl.DataFrame) else part for part in (value, vars(other)[name]))
        assert_same(mine, theirs)


HEADERS = {"candidate": "name", "pre_pass_at_64": "pass@64", "pre_held_out_loss_nats": "eval_loss"}


def numbers_as(table: pl.DataFrame, dtype: Any) -> pl.DataFrame:
    return table.with_columns(pl.col(pl.Int64).cast(dtype), pl.col(pl.String).cast(pl.Categorical))


@pytest.mark.parametrize("surrogate", ["default", "none", "linear:both"])
@pytest.mark.parametrize("gap", ["no counts", "a candidate without loss", "no base"])
def test_a_flat_table_says_the_same_in_any_unit_type_and_words(tmp_path: Path, surrogate: str, gap: str) -> None:
    table = table_of(gap, "some").drop(NESTED, strict=False).unique("candidate", keep="first", maintain_order=True)
    shares = [name for name in table.columns if name in BY_NAME and BY_NAME[name].unit == "fraction"]
    table.write_csv(tmp_path / "table.csv")
    wanted = told(table, surrogate, notes=False)
    for other in (
        tmp_path / "table.csv",
        table.rename(HEADERS),
        *(numbers_as(table, t) for t in (pl.Int32, pl.Float64)),
    ):
        assert_same(wanted, told(other, surrogate, notes=False))
    per_cent = rank(table.with_columns(pl.col(shares) * 100.0), surrogate, percent=True).frame
    assert_same(
        per_cent.select("candidate", "rank").rows(), rank(table, surrogate).frame.select("candidate", "rank").rows()
    )
    single = table.with_columns(pl.col(pl.Float64).cast(pl.Float32))
    assert_same(told(single.cast({pl.Float32: pl.Float64}), surrogate), told(single, surrogate))


@pytest.mark.parametrize("surrogate", ["default", "fit", "linear:both"])
def test_a_copy_under_another_name_is_predicted_the_same(surrogate: str) -> None:
    table = table_of("none", "some")
    whole = table.filter(pl.col("post_pass_at_1").is_null() & ~pl.col("candidate").is_duplicated())[:1]
    name = whole["candidate"][0]
    ranking = rank(pl.concat([table, whole.with_columns(candidate=pl.lit("a copy"))]), surrogate).frame
    both = ranking.filter(pl.col("candidate").is_in([name, "a copy"]))
    told_of = both.select("rank", "prediction", "low", "high", "distance").rows()
    assert len(told_of) == 2
    assert_same(*told_of)


@pytest.mark.parametrize("finished", FINISHED)
def test_weights_of_as_many_as_a_benchmark_has_problems_say_nothing(finished: str) -> None:
    table = table_of("none", finished)
    counts = table["pre_problems"][0].struct.field("benchmark").value_counts()
    weighted = rank(table, weights=dict(counts.rows())).frame
    assert_same(_without_notes(weighted), _without_notes(rank(table).frame))


def _without_notes(frame: pl.DataFrame) -> list[Any]:
    return frame.select("candidate", "rank", "^(prediction|low|high|p_best|expected_regret|actual)$").rows()


@pytest.mark.parametrize("surrogate", ["default", "none"])
def test_a_curve_says_the_same_in_a_table_and_in_a_column(surrogate: str) -> None:
    runs = pl.read_parquet("datasets/lab-race/corpus.parquet")
    candidates = runs.drop("^post_.*$", "rl_curve")
    nested = candidates.with_columns(post_curve=runs["post_curve"].list.head(3))
    points = nested.select("candidate", "pre_problems_count", "post_curve").explode("post_curve").unnest("post_curve")
    drawn = pl.col("samples_per_problem") * pl.col("pre_problems_count")
    along = points.select("candidate", "step", "pass_at_1", "pass_at_16", n=drawn)
    by_table = rank(candidates, surrogate, curves=along, rl_steps=100)
    for other in (rank(nested, surrogate, rl_steps=100), rank(candidates, surrogate, curves=nested, rl_steps=100)):
        assert_same(_without_notes(by_table.frame), _without_notes(other.frame))
    forecasts = dict(race(candidates, along, rl_steps=100).frame.select("candidate", "forecast").rows())
    if surrogate == "default":
        assert_same(by_table.frame["prediction"].to_list(), [forecasts[name] for name in by_table.frame["candidate"]])
