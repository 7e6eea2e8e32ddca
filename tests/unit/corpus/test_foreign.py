"""Tables of other tools: headers that can mean but one thing, the rest as told; units only as told."""

import io
import json
from pathlib import Path

import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quagpredict.corpus import read_corpus
from quagpredict.corpus.foreign import adopt, joined_by_name, meaning_of, suggestion
from quagpredict.corpus.reading import read_foreign
from quagpredict.errors import CorpusError, UsageError
from quagpredict.schema import BY_NAME

CSV = """name,base,pass@1,Pass@64,eval_loss,score_after_rl,web share
mix-a,qwen,31.2,71,0.82,55.1,0.5
mix-b,qwen,35.9,66,0.91,,0.3
"""


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    path = tmp_path / "mine.csv"
    path.write_text(CSV)
    return path


def test_known_headers_are_taken_for_what_they_mean_and_it_is_said(foreign: Path) -> None:
    found = read_foreign(foreign, percent=True)
    assert found.frame.columns == [
        *("candidate", "base_model", "pre_pass_at_1", "pre_pass_at_64", "pre_held_out_loss_nats", "post_pass_at_1"),
        "web share",
    ]
    assert found.frame.row(0)[:6] == ("mix-a", "qwen", 0.312, 0.71, 0.82, 0.551)
    assert found.frame["web share"].to_list() == [0.5, 0.3]  # no score of the schema's: its unit is its own
    first, unused = found.notes
    assert "'Pass@64' as pre_pass_at_64" in first
    assert "not known, and not used: 'web share'" in unused
    assert "per cent in pre_pass_at_1, pre_pass_at_64, post_pass_at_1; say otherwise by `columns`" in first
    assert read_corpus(foreign, columns={}, percent=True).equals(found.frame)


def test_without_being_asked_headers_stay_as_they_are(foreign: Path) -> None:
    assert read_corpus(foreign).columns[1:] == CSV.splitlines()[0].split(",")


@pytest.mark.parametrize(
    ("header", "meant"),
    [
        ("pass@64", "pre_pass_at_64"),
        ("Pass@64", "pre_pass_at_64"),
        ("PRE_PASS_AT_64", "pre_pass_at_64"),
        ("pass_at_8", "pre_pass_at_8"),
        ("SFT pass@1", "pre_pass_at_1"),
        ("post-pass@1", "post_pass_at_1"),
        ("RL Pass@4", "post_pass_at_4"),
        ("Pre_Held_Out_Loss_Nats", "pre_held_out_loss_nats"),
        ("val loss", "pre_held_out_loss_nats"),
        ("After RL", "post_pass_at_1"),
        # What may mean something else is asked for, not guessed.
        ("loss", None),
        ("train_loss", None),
        ("score", None),
        ("accuracy", None),
        ("pass@", None),
        ("bypass@4", None),
        ("maj@64", None),
    ],
)
def test_headers(header: str, meant: str | None) -> None:
    assert meaning_of(header) == meant


@given(st.sampled_from(sorted(BY_NAME)))
def test_the_schemas_own_names_mean_themselves_in_any_case(name: str) -> None:
    assert meaning_of(name) == meaning_of(name.upper()) == name


def test_what_the_caller_says_comes_first() -> None:
    table = pl.DataFrame({"run": ["a", "b"], "pass@1": [0.1, 0.2], "judge": [0.3, 0.4]})
    told = adopt(table, {"candidate": "run", "pre_pass_at_1": "judge"})
    assert told.frame.columns == ["candidate", "pass@1", "pre_pass_at_1"]
    assert told.notes == ("table: not known, and not used: 'pass@1'; if one is a measurement, say which by `columns`",)
    kept = adopt(table, keep=["pass@1"]).frame
    assert kept.columns == ["candidate", "pass@1", "judge"]


def test_an_index_of_names_is_the_candidates_and_one_of_numbers_is_not() -> None:
    frame = pd.DataFrame({"pass@64": [0.5, 0.6]}, index=["a", "b"]).reset_index()
    assert adopt(pl.from_pandas(frame)).frame.columns == ["candidate", "pre_pass_at_64"]
    numbered = adopt(pl.DataFrame({"": [0, 1], "pass@64": [0.5, 0.6]})).frame
    assert numbered.columns == ["", "pre_pass_at_64"]
    repeated = adopt(pl.DataFrame({"model": ["qwen", "qwen"], "run": ["a", "b"], "pass@64": [0.5, 0.6]})).frame
    assert repeated.columns == ["model", "candidate", "pre_pass_at_64"]


def test_two_headers_of_one_meaning_are_not_merged() -> None:
    table = pl.DataFrame({"name": ["a"], "pass@64": [0.5], "pass_at_64": [0.6]})
    assert adopt(table).frame.columns == ["candidate", "pre_pass_at_64", "pass_at_64"]
    there = pl.DataFrame({"candidate": ["a"], "pre_pass_at_64": [0.5], "pass@64": [0.6]})
    assert adopt(there).frame.equals(there)


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({"pre_pas_at_64": "judge"}, UsageError, "is called 'pre_pas_at_64'; did you mean 'pre_pass_at_64'"),
        ({"candidate": "nobody"}, CorpusError, "there is no column 'nobody'"),
        ({"judge": "pre_pass_at_64"}, UsageError, "did you mean pre_pass_at_64='judge', the schema's name first"),
        ({"pre_pass_at_64": "jugde"}, CorpusError, "there is no column 'jugde'; did you mean 'judge'"),
        ({"pre_pass_at_64": "judge", "pre_pass_at_32": "judge"}, CorpusError, "'judge' is given two names"),
        ({"candidate": "judge"}, CorpusError, "column 'candidate' is there already, beside 'judge'"),
    ],
)
def test_what_cannot_be_is_refused(columns: dict[str, str], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        adopt(pl.DataFrame({"candidate": ["a"], "judge": [0.5]}), columns)


def test_a_known_header_may_stand_for_the_schemas_name() -> None:
    table = pl.DataFrame({"model": ["a", "b"], "Pass@1 (%)": [20.0, 30.0], "RL end": [50.0, None], "seconds": [1, 2]})
    found = adopt(table, {"score_after_rl": "RL end"}, percent=True)
    assert found.frame.columns == ["candidate", "pre_pass_at_1", "post_pass_at_1", "seconds"]
    assert found.frame["pre_pass_at_1"].to_list() == [0.2, 0.3]
    # What was left aside is said, so that no result is lost in silence.
    assert "not used: 'RL end', 'seconds'" in adopt(table, percent=True).notes[1]


def test_a_score_above_a_hundred_is_not_in_per_cent() -> None:
    with pytest.raises(CorpusError, match=r"250 is above 100, so it is not in per cent"):
        adopt(pl.DataFrame({"candidate": ["a"], "pre_pass_at_1": [250.0]}), percent=True)


def per_cent(**scores: list[float]) -> tuple[str, ...]:
    return adopt(pl.DataFrame({"candidate": ["a", "b"], **scores}), percent=True, source="x.csv").notes[1:]


@pytest.mark.parametrize(
    ("column", "scores"),
    [
        ("pre_pass_at_1", {"pre_pass_at_1": [0.31, 0.36], "pre_pass_at_64": [71.0, 66.0]}),
        ("pre_pass_at_64", {"pre_pass_at_1": [31.0, 36.0], "pre_pass_at_64": [0.71, 0.66]}),
        ("post_pass_at_16", {"post_pass_at_1": [3.0, 2.0], "post_pass_at_16": [0.2, 0.18]}),
        ("pre_pass_at_1", {"pre_pass_at_1": [0.2, 0.0], "pre_pass_at_4": [0.3, 0.0], "pre_pass_at_16": [45.0, 9.0]}),
    ],
)
def test_a_fraction_beside_per_cent_is_refused_where_pass_at_k_tells(
    column: str, scores: dict[str, list[float]]
) -> None:
    with pytest.raises(CorpusError, match=rf"x\.csv: column '{column}' .* cannot be in per cent beside .* by 100"):
        per_cent(**scores)


@pytest.mark.parametrize(
    "scores",
    [
        {"pre_pass_at_1": [0.5, 0.0], "pre_pass_at_64": [20.0, 1.0]},  # a hard benchmark
        {"pre_pass_at_1": [0.5, 40.0], "pre_pass_at_1_se": [0.4, 0.9]},
        {"pre_pass_at_1": [0.0, 0.0], "pre_pass_at_64": [20.0, 1.0]},
    ],
)
def test_low_scores_in_per_cent_are_no_mistake(scores: dict[str, list[float]]) -> None:
    assert per_cent(**scores) == ()


@given(st.lists(st.floats(1e-4, 1), min_size=1, max_size=9), st.sampled_from([2, 4, 16, 64]))
def test_no_benchmark_is_so_hard_that_its_per_cent_are_refused(p: list[float], k: int) -> None:
    low, high = (100 * sum(1 - (1 - each) ** tries for each in p) / len(p) for tries in (1, k))
    per_cent(pre_pass_at_1=[low, low], **{f"pre_pass_at_{k}": [high, high]})
    if low > 1:
        with pytest.raises(CorpusError, match=f"'pre_pass_at_{k}' .* cannot be in per cent"):
            per_cent(pre_pass_at_1=[low, low], **{f"pre_pass_at_{k}": [high / 100, high / 100]})


def test_where_nothing_tells_a_note_says_what_was_read() -> None:
    (note,) = per_cent(pre_pass_at_1=[31.0, 36.0], pre_truncated_share=[0.12, 0.5], post_pass_at_1=[0.4, 0.6])
    said = "pre_truncated_share (0.5 at most), post_pass_at_1 (0.6 at most); multiply by 100 what is a fraction"
    assert note == f"x.csv: read as per cent, although no value is above 1: {said}"
    (note,) = per_cent(pre_pass_at_1=[1.1, 0.9], pre_pass_at_64=[1.0, 0.9])  # of other samples
    assert "pre_pass_at_64 (1 at most)" in note
    (note,) = per_cent(pre_pass_at_1=[0.31, 0.36], pre_pass_at_64=[0.71, 0.66])  # or nothing is in per cent
    assert "pre_pass_at_1 (0.36 at most), pre_pass_at_64 (0.71 at most); multiply by 100" in note


@given(st.lists(st.floats(0, 100), min_size=1, max_size=5))
def test_per_cent_is_a_hundredth(values: list[float]) -> None:
    table = pl.DataFrame({"candidate": [f"c{i}" for i in range(len(values))], "pass@12": values})
    assert adopt(table, percent=True).frame["pre_pass_at_12"].to_list() == pytest.approx(
        [value / 100 for value in values], rel=1e-15
    )


def test_a_table_is_laid_beside_by_name(tmp_path: Path) -> None:
    measured = pl.DataFrame({"candidate": ["a", "b", "c"], "pre_pass_at_64": [0.7, 0.6, 0.5]})
    (tmp_path / "losses.tsv").write_text("run\teval loss\nb\t0.9\na\t0.8\n")
    found = read_foreign(measured, join=tmp_path / "losses.tsv")
    assert found.frame["pre_held_out_loss_nats"].to_list() == [0.8, 0.9, None]
    assert found.notes[-1].endswith("losses.tsv: says nothing of 'c'")
    other = measured.with_columns(pre_pass_at_64=pl.Series([0.7, 0.61, 0.5]))
    with pytest.raises(CorpusError, match=r"says 0\.61 of candidate 'b', but x says 0\.6"):
        joined_by_name(measured, other, "x", "y")
    with pytest.raises(CorpusError, match=r"holds none of the candidates of x, e\.g\. not 'a'"):
        joined_by_name(measured, pl.DataFrame({"candidate": ["z"], "loss": [1.0]}), "x", "y")
    with pytest.raises(CorpusError, match="candidate 'a' appears twice"):
        joined_by_name(measured, pl.DataFrame({"candidate": ["a", "a"], "loss": [1.0, 2.0]}), "x", "y")


def test_json_records_and_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"name": "a", "pass@64": 0.5}, {"name": "b", "pass@64": 0.6}]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    expected = read_foreign(tmp_path / "rows.json").frame
    assert expected["pre_pass_at_64"].to_list() == [0.5, 0.6]
    lines = "\n".join(json.dumps(row) for row in rows)
    for text in (json.dumps(rows), lines, "name,pass@64\na,0.5\nb,0.6\n", "name\tpass@64\na\t0.5\nb\t0.6\n"):
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        assert read_foreign("-").frame.equals(expected)
    (tmp_path / "rows.json").write_text('{"name": "a"}')
    with pytest.raises(CorpusError, match=r"rows\.json: expected a list of records"):
        read_foreign(tmp_path / "rows.json")
    monkeypatch.setattr("sys.stdin", io.StringIO("[1, 2"))
    with pytest.raises(CorpusError, match="standard input"):
        read_foreign("-")


def test_what_is_not_recognised_is_suggested() -> None:
    table = pl.DataFrame({"Experiment": ["a", "b"], "pass64": [0.5, 0.6], "loss": [0.8, 0.9]})
    assert suggestion(table) == {
        "candidate": "Experiment",
        "pre_held_out_loss_nats": "loss",
        "pre_pass_at_64": "pass64",
    }
