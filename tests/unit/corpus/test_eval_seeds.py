"""Eval seeds of one candidate become one row: as if all their samples had been drawn at once, or not at all."""

import io

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.cli import main
from quagpredict.corpus.eval_seeds import joined_seeds
from quagpredict.errors import CorpusError
from quagpredict.metrics.measuring import count_values
from quagpredict.ranking import rank


def counted(candidate: str, seed: int, counts: dict[str, tuple[int, int]], **values) -> dict:
    problems = [
        {"benchmark": "b", "problem_id": name, "level": 1, "n": n, "c": c, "truncated": 0, "no_answer": None}
        for name, (n, c) in counts.items()
    ]
    found = count_values(pl.DataFrame(problems))
    return {
        "candidate": candidate,
        "seed": seed,
        **{f"pre_{name}": found[name] for name in ("pass_at_1", "pass_at_4", "pass_at_1_se", "samples_per_problem")},
        "pre_problems": problems,
        **values,
    }


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 8)), min_size=2, max_size=6))
def test_counts_add_up_as_if_drawn_at_once(solved):
    one = {f"p{place}": (4, c) for place, (c, _) in enumerate(solved)}
    other = {f"p{place}": (8, c) for place, (_, c) in enumerate(solved)}
    rows = pl.DataFrame([counted("a", 0, one), counted("a", 1, other)])
    frame = joined_seeds(rows, "seed").frame
    at_once = count_values(pl.DataFrame({"n": [12] * len(solved), "c": [x + y for x, y in solved]}))
    row = frame.row(0, named=True)
    assert row["pre_samples_per_problem"] == 12
    for name in ("pass_at_1", "pass_at_4", "pass_at_8", "pass_at_1_se"):  # k of 8 is there only now
        assert row[f"pre_{name}"] == pytest.approx(at_once[name])
    assert "seed" not in frame.columns


def test_a_mean_without_counts_is_weighted_by_the_samples():
    table = pl.DataFrame(
        {
            "candidate": ["a", "a", "b"],
            "seed": ["x", "y", "x"],
            "pre_pass_at_1": [0.4, 0.7, 0.3],
            "pre_pass_at_1_se": [0.1, 0.1, 0.1],
            "pre_held_out_loss_nats": [0.9, 0.9, 0.8],
            "pre_samples_per_problem": [16, 32, 16],
            "cost_pre_evaluation_s": [1.0, 2.0, 1.0],
        }
    )
    found = joined_seeds(table, "seed", "mine.csv")
    assert found.frame.rows() == [
        ("a", pytest.approx(0.6), None, pytest.approx(0.9), 48, 3.0),
        ("b", 0.3, 0.1, 0.8, 16, 1.0),
    ]
    assert found.notes == ("mine.csv: 3 rows are joined to 2 by 'seed', 1.5 eval seeds each on average",)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [counted("a", 0, {"p": (4, 1)}), counted("a", 1, {"q": (4, 1)})],
            "measured on different problems, e.g. '[pq]'",
        ),
        ([counted("a", 0, {"p": (4, 1)}), counted("a", 0, {"p": (4, 1)})], "has the eval seed 0 twice"),
        ([counted("a", 0, {"p": (4, 1)}), counted("a", None, {"p": (4, 1)})], "without an eval seed"),
        (
            [counted("a", 0, {"p": (4, 1)}, base_model="x"), counted("a", 1, {"p": (4, 1)}, base_model="y")],
            "rows of candidate 'a' differ",
        ),
        (
            [
                {"candidate": "a", "seed": 0, "pre_pass_at_1": 0.5, "pre_problems_count": 30},
                {"candidate": "a", "seed": 1, "pre_pass_at_1": 0.5, "pre_problems_count": 500},
            ],
            r"different problems \(30, 500 of them\)",
        ),
    ],
)
def test_what_is_not_an_eval_seed_is_refused(rows, said):
    with pytest.raises(CorpusError, match=said):
        joined_seeds(pl.DataFrame(rows), "seed")


def test_a_column_that_is_not_there_is_asked_about():
    with pytest.raises(CorpusError, match="there is no column 'sed' of eval seeds; did you mean 'seed'"):
        joined_seeds(pl.DataFrame({"candidate": ["a"], "seed": [0]}), "sed")


SEEDS = "name,seed,Pass@1,pass@64,eval_loss\na,0,30,70,0.5\na,1,34,74,0.5\nb,0,20,60,0.4\nb,1,22,60,0.4\n"


def test_a_table_with_foreign_names_is_joined_on_request_and_the_request_is_offered(tmp_path, capsys, monkeypatch):
    file = tmp_path / "seeds.csv"
    file.write_text(SEEDS)
    assert main(["rank", str(file), "--percent", "--columns", "candidate=name"]) == 3
    assert "to join its eval seeds: --join-seeds seed" in capsys.readouterr().err
    words = ["--percent", "--join-seeds", "seed", "--format", "csv"]
    assert main(["rank", str(file), *words]) == 0
    shown = capsys.readouterr()
    table = pl.read_csv(io.StringIO(shown.out))
    assert table["candidate"].to_list() == ["a", "b"]
    assert table["pre_pass_at_64"].to_list() == pytest.approx([0.72, 0.60])
    assert "4 rows are joined to 2 by 'seed'" in shown.err
    monkeypatch.setattr("sys.stdin", io.StringIO(SEEDS))
    assert main(["rank", "-", *words]) == 0
    assert capsys.readouterr().out == shown.out


def test_seeds_in_files_of_their_own_are_joined(tmp_path):
    lines = SEEDS.splitlines()
    for place, seed in enumerate((lines[1::2], lines[2::2])):
        (tmp_path / f"{place}.csv").write_text("\n".join([lines[0], *seed]) + "\n")
    ranking = rank(str(tmp_path / "*.csv"), percent=True, join_seeds="seed")
    assert ranking.frame["pre_pass_at_1"].to_list() == pytest.approx([0.32, 0.21])


@pytest.mark.parametrize("column", ["candidate", "pre_pass_at_1", "base_model"])
def test_what_the_schema_knows_is_no_eval_seed(column):
    table = pl.DataFrame({"candidate": ["a", "b"], "base_model": ["x", "y"], "pre_pass_at_1": [0.1, 0.2]})
    with pytest.raises(
        CorpusError, match=rf"x\.csv: column '{column}' is no eval seed .*; name the column of the eval seeds"
    ):
        joined_seeds(table, column, "x.csv")
