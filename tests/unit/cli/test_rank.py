"""``quagpredict rank`` from end to end."""

import csv
import io
import json

import polars as pl
import pytest

from quagpredict.cli import main
from quagpredict.corpus import write_corpus


@pytest.fixture
def files(workplace):
    return [f"runs/{path.name}" for path in sorted((workplace / "runs").iterdir())]


def ranked(capsys, *words):
    assert main(["rank", *words, "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_candidates_may_be_named_without_the_option(files, capsys, workplace):
    expected = ranked(capsys, "--candidates", *files, "--surrogate", "model")
    assert ranked(capsys, *files, "--surrogate", "model") == expected
    assert ranked(capsys, files[0], "--surrogate", "model", "--candidates", *files[1:]) == expected
    assert main(["rank", "--surrogate", "model"]) == 2
    assert "name the candidates" in capsys.readouterr().err


def test_every_way_of_naming_candidates_ranks_the_same(files, corpus, capsys, workplace):
    write_corpus(pl.concat([pl.read_parquet(name) for name in files]), "all.parquet")
    expected = ranked(capsys, "--candidates", *files, "--surrogate", "model")
    assert len(expected["candidates"]) == 6
    for words in (["runs/*.parquet"], ["runs"], ["runs/"], [str(workplace / "runs")], ["all.parquet"]):
        assert ranked(capsys, "--candidates", *words, "--surrogate", "model") == expected, words


def test_the_table_shows_prediction_actual_and_regret(files, capsys):
    words = ["rank", "--candidates", *files, "--surrogate", "model", "--truth", "corpus.parquet"]
    assert main(words) == 0
    captured = capsys.readouterr()
    for text in ("predicted", "90 %", "P(best)", "actual", "What RL really gave", "post-SFT Pass@1", "points"):
        assert text in captured.out
    assert captured.err.startswith("note: surrogate 'linear' of loss, Pass@64")


def test_csv_is_data_alone_and_keeps_fractions(files, capsys):
    assert main(["rank", "--candidates", *files, "--surrogate", "model", "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    assert all(0 < float(row["prediction"]) < 1.2 for row in rows)
    assert set(rows[0]) >= {"candidate", "low", "high", "p_best", "expected_regret", "distance", "flags"}


def test_json_holds_flags_notes_and_outcome(capsys, workplace):
    value = ranked(capsys, "--candidates", "corpus.parquet", "--surrogate", "model")
    assert value["surrogate"] == "linear"
    assert value["outcome"]["finished"] == 6  # the surrogate was fitted on the other 24, which are no test of it
    rules = [choice["rule"] for choice in value["outcome"]["choices"]]
    assert rules == ["prediction", "pre_pass_at_1", "pre_pass_at_64", "pre_held_out_loss_nats", "screening"]
    assert {"candidate", "kind", "detail"} == set(value["flags"][0])


@pytest.mark.parametrize("name", ["a.csv", "a.json", "new/a.txt"])
def test_out_writes_a_file_beside_the_table(name, files, capsys, workplace):
    assert main(["rank", "--candidates", *files, "--surrogate", "model", "--out", name]) == 0
    captured = capsys.readouterr()
    assert "predicted" in captured.out
    assert f"wrote {name}" in captured.err
    text = (workplace / name).read_text(encoding="utf-8")
    assert all(f"c000{number}" in text for number in range(6))


def test_without_a_surrogate_it_screens_and_says_so(files, capsys):
    assert main(["rank", "--candidates", *files, "--surrogate", "none"]) == 0
    captured = capsys.readouterr()
    assert "no score is predicted" in captured.out
    assert "note: no surrogate: ordered by the paper's screening" in captured.err


def test_where_no_shipped_surrogate_applies_it_is_said_what_a_prediction_takes(files, capsys, workplace):
    (workplace / "models").mkdir()
    (workplace / "model").rename(workplace / "models" / "lab-pilot")
    assert ranked(capsys, "--candidates", *files)["surrogate"] == "linear"
    other = [pl.read_parquet(name).with_columns(eval_protocol_id=pl.lit("mine")) for name in files]
    write_corpus(pl.concat(other), "mine.parquet")
    assert main(["rank", "--candidates", "mine.parquet"]) == 0
    assert "no score is predicted: that takes 5 candidates with" in capsys.readouterr().err
    assert main(["rank", "--candidates", "mine.parquet", "--surrogate", "lab-pilot"]) == 3
    assert main(["rank", "--candidates", "mine.parquet", "--surrogate", "lab-pilot", "--allow-mixed-protocols"]) == 0


def test_split(capsys, workplace, corpus):
    write_corpus(corpus.with_columns(split=pl.Series(["held_out"] * 4 + ["fit"] * 26)), "split.parquet")
    value = ranked(capsys, "--candidates", "split.parquet", "--surrogate", "model", "--split", "held_out")
    assert {row["candidate"] for row in value["candidates"]} == {f"c000{number}" for number in range(4)}


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("surrogate", ["model", "none"])
def test_the_table_keeps_to_the_width_and_loses_no_name(width, surrogate, capsys, workplace, corpus, monkeypatch):
    names = [f"strong.homogeneous-{2**place}x4-lr0.001-s{place}" for place in range(corpus.height)]
    write_corpus(corpus.with_columns(candidate=pl.Series(names)), "long.parquet")
    monkeypatch.setenv("COLUMNS", str(width))
    assert main(["rank", "--candidates", "long.parquet", "--surrogate", surrogate]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    if width >= 80:
        assert all(
            any(name.startswith(line.split()[1]) for name in names) for line in lines if line[:3].strip().isdigit()
        )


def test_many_candidates_are_counted(capsys, workplace):
    assert main(["rank", "--candidates", "corpus.parquet", "--surrogate", "model", "--top", "5"]) == 0
    assert "... and 25 more candidates" in capsys.readouterr().out


def test_control_characters_do_not_reach_the_terminal(capsys, workplace, corpus):
    write_corpus(corpus[:2].with_columns(candidate=pl.Series(["a\x1b[31m", "[bold]b"])), "odd.parquet")
    assert main(["rank", "--candidates", "odd.parquet", "--surrogate", "none"]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "[bold]b" in shown


def half_finished(corpus):
    """The first candidates, of which four have their result."""
    done = pl.int_range(pl.len()) < 4
    return corpus[:10].with_columns(
        pl.when(done).then(pl.col(name)).alias(name) for name in ("post_pass_at_1", "rl_recipe_id", "rl_seed")
    )


def test_every_decision_is_printed_and_in_json(corpus, capsys, workplace):
    write_corpus(half_finished(corpus).drop("post_problems"), "half.parquet")
    words = ["--candidates", "half.parquet", "--surrogate", "model", "--budget", "2", "--next", "--gate", "0.3"]
    assert main(["rank", *words, "--margin", "0.05", "--top-m", "2"]) == 0
    captured = capsys.readouterr()
    for text in (
        "What drives the first 3",
        "Gate: ",
        "30.0 % by 5.0 points",
        "Budget: 2 for RL",
        "Next run: ",
        "known",
    ):
        assert text in captured.out, text
    assert "4 candidates have a result already" in captured.err
    value = ranked(capsys, *words)
    assert set(value["budget"]["candidates"]) <= {f"c{number:04d}" for number in range(4, 10)}
    assert value["next_run"]["candidate"] in {f"c{number:04d}" for number in range(4, 10)}
    assert value["gate"]["bar"] == "0.3"
    assert value["gate"]["p_any"] > 0.5
    first = value["candidates"][0]
    assert {"p_top_3", "p_clear", "regret_reduction", "drivers"} <= set(first)
    assert set(value["contributions"][0]) == {"candidate", "pre_held_out_loss_nats", "pre_pass_at_64"}
    without = ranked(capsys, *words, "--no-condition")
    assert [row["prediction"] for row in without["candidates"]] != [row["prediction"] for row in value["candidates"]]


def test_none_clears_the_gate_is_an_answer_and_no_failure(files, capsys):
    assert main(["rank", "--candidates", *files, "--surrogate", "model", "--gate", "0.999"]) == 0
    assert "Gate: none clears 99.9 % with a probability of 50 % or more" in " ".join(capsys.readouterr().out.split())
    assert ranked(capsys, "--candidates", *files, "--surrogate", "model", "--gate", "0.999")["gate"]["cleared"] == []


def test_csv_holds_the_drivers(files, capsys):
    assert main(["rank", "--candidates", *files, "--surrogate", "model", "--format", "csv"]) == 0
    first = next(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    drivers = dict(part.split(":") for part in first["drivers"].split(";"))
    assert set(drivers) == {"pre_held_out_loss_nats", "pre_pass_at_64"}
    assert all(abs(float(value)) < 1 for value in drivers.values())


def test_enough_finished_candidates_make_a_surrogate_of_their_own(corpus, capsys, workplace):
    table = corpus.with_columns(
        pl.when(pl.int_range(pl.len()) < 8).then("post_pass_at_1").alias("post_pass_at_1"),
        eval_protocol_id=pl.lit("mine"),
    ).drop("post_problems")
    write_corpus(table, "half.parquet")
    value = ranked(capsys, "--candidates", "half.parquet")
    assert value["surrogate"] == "hierarchical"
    assert any("fitted on the 8 with a result" in note for note in value["notes"])
    write_corpus(table[6:], "few.parquet")
    assert ranked(capsys, "--candidates", "few.parquet")["surrogate"] is None
    assert (
        ranked(capsys, "--candidates", "half.parquet", "--surrogate", "linear", "--features", "loss")["surrogate"]
        == "linear"
    )


def test_a_table_of_anyone(capsys, workplace, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    rows = [(f"mix-{i}", i / 12, (12 - i) ** 2 / 144, 2.0 + 0.1 * abs(i - 4) if i < 9 else None) for i in range(13)]
    pl.DataFrame(rows, schema=["candidate", "web", "code", "loss"], orient="row").write_csv("mixtures.csv")
    words = ["--candidates", "mixtures.csv", "--features", "web", "code", "--target", "loss", "--minimize"]
    assert main(["rank", *words]) == 0
    shown = capsys.readouterr().out
    assert "Predicted loss (the lowest is best)" in shown
    assert "%" not in shown.replace("90 %", "")
    first = ranked(capsys, *words)["candidates"][0]
    assert first["candidate"] == "mix-4"
    assert first["prediction"] == 2.0


@pytest.mark.parametrize("width", [60, 80, 120])
def test_decisions_keep_to_the_width(width, capsys, workplace, corpus, monkeypatch):
    names = [f"strong.homogeneous-{2**place}x4-lr0.001-s{place}" for place in range(10)]
    write_corpus(half_finished(corpus).drop("post_problems").with_columns(candidate=pl.Series(names)), "long.parquet")
    monkeypatch.setenv("COLUMNS", str(width))
    words = ["--budget", "3", "--next", "--gate", "0.4", "--surrogate", "model"]
    assert main(["rank", "--candidates", "long.parquet", *words]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= width


def break_parquet(folder):
    (folder / "bad.parquet").write_bytes((folder / "corpus.parquet").read_bytes()[:500])
    return "bad.parquet"


def table(folder, **columns):
    frame = pl.read_parquet(folder / "corpus.parquet")[:3]
    for name, value in columns.items():
        frame = frame.with_columns(pl.Series(name, value)) if value is not None else frame.drop(name)
    frame.write_parquet(folder / "bad.parquet")
    return "bad.parquet"


@pytest.mark.parametrize(
    ("make", "code", "said"),
    [
        (break_parquet, 3, "bad.parquet: this is no valid parquet file"),
        (lambda folder: "none/*.parquet", 4, "no file matches 'none/*.parquet'"),
        (lambda folder: "none.parquet", 2, "none.parquet: there is no such file or folder"),
        (lambda folder: table(folder, candidate=None), 3, "bad.parquet: column 'candidate' is missing"),
        (lambda folder: table(folder, pre_pass_at_64=None), 3, "column 'pre_pass_at_64' is missing"),
        (lambda folder: table(folder, pre_pass_at_1=[float("nan"), 0.5, 0.5]), 3, "column 'pre_pass_at_1': nan"),
        (lambda folder: table(folder, pre_pass_at_1=[1.5, 0.5, 0.5]), 3, "is outside 0 to 1"),
        (lambda folder: table(folder, pre_problems=[[{"n": 8, "c": 9}]] * 3), 3, "c must lie in 0 to n"),
        (lambda folder: table(folder, eval_protocol_id=["a", "b", "b"]), 3, "2 protocols (a, b)"),
        (lambda folder: table(folder, candidate=["a", "a", "b"]), 3, "'a' appears 2 times"),
    ],
)
def test_bad_input_is_one_line_and_its_code(make, code, said, workplace, capsys):
    assert main(["rank", "--candidates", make(workplace), "--surrogate", "model"]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert said in captured.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--surrogate", "nowhere"], 2, "unknown surrogate 'nowhere'"),
        (["--surrogate", "runs"], 3, "there is no surrogate"),
        (["--out", "a.xlsx"], 2, "must end in .csv, .json, .txt, .html, .md or .png"),
        (["--split", "held_out"], 4, "no candidate has the split 'held_out'"),
        (["--truth", "runs"], 3, "runs: column 'post_pass_at_1' is missing (or 'score_after_rl'); it has candidate, "),
        (["--top", "many"], 2, "argument --top"),
        (["--surrogate", "model", "--gate", "nobody"], 2, "--gate nobody: expected a score"),
        (
            ["--gate", "0.5"],
            2,
            "--gate 0.5 needs predicted scores, and screening predicts none: that takes 5 candidates",
        ),
        (["--surrogate", "none", "--next"], 2, "--next needs predicted scores"),
        (
            ["--surrogate", "model", "--gate-probability", "1.5", "--gate", "0.5"],
            2,
            "--gate-probability 1.5: expected a number above 0",
        ),
        (["--margin", "0.1"], 2, "--margin 0.1: a margin needs a gate"),
        (
            ["--surrogate", "model", "--gate", "0.5", "--margin", "5"],
            2,
            "--margin 5: 'post_pass_at_1' is a fraction, so a margin lies between -1 and 1",
        ),
        (["--rl-steps", "0"], 2, "argument --rl-steps: expected a number above 0"),
        (["--budget", "0"], 2, "argument --budget"),
        (["--surrogate", "fit"], 3, "0 of 6 candidates have 'post_pass_at_1'"),
        (["--surrogate", "fit:oracle"], 2, "--surrogate fit:oracle: name the kind alone, 'oracle'"),
        (
            ["--features", "loss", "--surrogate", "none"],
            2,
            "--features are for a surrogate that is fitted on the candidates: pass --surrogate fit",
        ),
    ],
)
def test_wrong_options_are_one_line_and_their_code(words, code, said, files, capsys):
    assert main(["rank", "--candidates", *files, *words]) == code
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert said in captured.err


def test_free_rules_stand_below_every_ranking_whose_results_are_not_known(tmp_path, capsys):
    table = pl.DataFrame({"name": ["a", "b", "c"], "pass@1": [0.5, 0.3, 0.1], "pass@64": [0.6, 0.8, 0.4]})
    table.write_csv(tmp_path / "mine.csv")
    assert main(["rank", str(tmp_path / "mine.csv")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Sorting, which costs nothing, would take first: a (by Pass@1); b (by Pass@64, screening)" in said
    table.with_columns(score_after_rl=pl.Series([0.6, 0.7, 0.5])).write_csv(tmp_path / "known.csv")
    assert main(["rank", str(tmp_path / "known.csv"), "--surrogate", "none"]) == 0
    assert "Sorting, which" not in capsys.readouterr().out
