"""Files, globs, folders and frames."""

import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from quagpredict.corpus import read_corpus, read_provenance, write_corpus
from quagpredict.errors import CorpusError, IncomparableError, NothingToRankError, QuagpredictError, UsageError
from quagpredict.parquet import write_parquet
from quagpredict.schema import BY_NAME


@pytest.fixture
def runs(tmp_path, rows):
    for number in range(3):
        write_corpus(rows[number], tmp_path / "runs" / f"c{number}.parquet", {"plan": "p", "seeds": [0, 1]})
    return tmp_path / "runs"


def test_every_way_of_naming_the_same_files_reads_the_same(runs, rows, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = read_corpus(rows)
    files = sorted(runs.glob("*.parquet"))
    write_corpus(rows, tmp_path / "all.parquet")
    mixed = [rows[0], rows[1].to_pandas(), files[2]]
    single = (runs, runs / "*.parquet", tmp_path / "all.parquet")
    for source in (*single, *map(str, single), "runs/*.parquet", files, list(map(str, files)), mixed, rows.lazy()):
        assert read_corpus(source).equals(whole), source


def test_a_file_that_is_named_twice_is_read_once(runs):
    assert read_corpus([runs, runs / "c1.parquet", runs / "*.parquet"]).height == 3


def test_a_folder_with_a_corpus_is_that_corpus(runs, rows):
    write_corpus(rows[:2], runs / "corpus.parquet")
    assert read_corpus(runs)["candidate"].to_list() == ["c0", "c1"]


def test_a_glob_of_folders_reads_their_tables(runs, rows):
    (runs / "logs").mkdir()
    write_corpus(rows[:1].with_columns(candidate=pl.lit("d")), runs / "d" / "candidate.parquet")
    (runs / "d" / "problems.parquet").write_bytes(b"not a table of candidates")
    assert read_corpus(runs / "*")["candidate"].to_list() == ["c0", "c1", "c2", "d"]


def test_names_with_glob_characters_are_files_first(tmp_path, rows):
    write_corpus(rows, tmp_path / "a[1].parquet")
    assert read_corpus(tmp_path / "a[1].parquet").height == 3
    assert read_corpus(tmp_path / "*.parquet").height == 3


def test_pandas_there_and_back(rows):
    there = rows.drop("pre_problems", "post_problems", "rl_curve").to_pandas()
    back = read_corpus(there)
    assert back.equals(rows.select(back.columns))
    indexed = read_corpus(there.set_index("candidate"))
    assert indexed.select(sorted(indexed.columns)).equals(back.select(sorted(back.columns)))


def test_pandas_nested_counts_are_read(rows):
    assert read_corpus(rows.to_pandas())["pre_problems"].to_list() == rows["pre_problems"].to_list()


def test_flat_tables_of_another_tool(tmp_path):
    (tmp_path / "flat.csv").write_text("candidate,my_metric,eval_protocol_id\n007,0.5,0012\n008,,0012\n")
    frame = read_corpus(tmp_path / "flat.csv")
    assert frame.rows() == [("007", 0.5, "0012"), ("008", None, "0012")]
    (tmp_path / "flat.tsv").write_text("candidate\tmy_metric\n007\t0.5\n")
    assert read_corpus(tmp_path / "flat.tsv").rows() == [("007", 0.5)]
    (tmp_path / "flat.jsonl").write_text('{"candidate": "a", "pre_pass_at_1": 1}\n{"candidate": "b"}\n')
    assert read_corpus(tmp_path / "flat.jsonl")["pre_pass_at_1"].to_list() == [1.0, None]


def test_columns_that_one_file_lacks_are_null(rows):
    frame = read_corpus([rows, pl.DataFrame({"candidate": ["x"], "eval_protocol_id": ["e1"], "mine": [1]})])
    assert frame["mine"].to_list() == [None, None, None, 1]
    assert frame["pre_pass_at_1"].to_list()[-1] is None


def test_nested_columns_are_checked_and_left_out(row, tmp_path):
    assert "pre_problems" not in read_corpus(row(), nested=False).columns
    bad = row().with_columns(pl.Series("pre_problems", [[{"n": 1, "c": 2}]]))
    with pytest.raises(CorpusError, match="c must lie in 0 to n"):
        read_corpus(bad, nested=False)


DERIVED = [
    "pre_problems.set",
    "pre_problems.pass_at_4",
    "pre_problems.share_3",
    *(f"pre_problems[*].{field}" for field in ("pass_at_1", "pass_at_4", "samples", "weight", "finished")),
    "post_problems[*].pass_at_1",
]


def counts(names, cut):
    """The problems of these benchmarks."""
    return [
        {"benchmark": name, "problem_id": f"p{number}", "n": 8, "c": number + cut, "truncated": cut}
        for name in names
        for number in range(3)
    ]


@settings(max_examples=25, deadline=None)
@given(
    measured=st.lists(
        st.tuples(st.none() | st.sets(st.sampled_from("xyz")), st.integers(0, 5), st.booleans()), min_size=1, max_size=6
    ),
    own=st.lists(st.sampled_from(["", "note", "text"]), min_size=6, max_size=6),
    limit=st.sampled_from([0, 500, 2**26]),
)
def test_a_table_in_parts_reads_as_the_whole(row, measured, own, limit):
    rows = []
    for number, (names, cut, finished) in enumerate(measured):
        nested = {
            "pre_problems": None if names is None else counts(sorted(names), cut),
            "post_problems": counts(sorted(names or "x"), 1) if finished else None,
        }
        made = [pl.Series(name, [problems], BY_NAME[name].dtype) for name, problems in nested.items()]
        one = row(f"c{number}").with_columns(made)
        # A column of its own, of two types, and one of the schema that is empty and so of any type.
        extra = {"": {}, "note": {"mine": [number]}, "text": {"pre_length_mean": pl.Series([None], dtype=pl.String)}}
        rows.append(one.with_columns(pl.Series(name, values) for name, values in extra[own[number]].items()))
    whole = read_corpus(
        pl.concat([one.drop("pre_length_mean", strict=False) for one in rows], how="diagonal"),
        nested=False,
        derived=DERIVED,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("quagpredict.corpus.reading._BYTES_AT_ONCE", limit)
        parts = read_corpus(rows, nested=False, derived=DERIVED)
    assert {*whole.columns} <= {*parts.columns} <= {*whole.columns, "pre_length_mean"}
    assert_frame_equal(parts.select(whole.columns), whole, rel_tol=1e-12, abs_tol=1e-15)


@pytest.mark.parametrize("place", [0, 2, 6])
def test_nested_columns_of_a_file_are_checked_piece_by_piece(row, tmp_path, monkeypatch, place):
    monkeypatch.setattr("quagpredict.corpus.files._ROWS_AT_ONCE", 2)
    monkeypatch.setattr("quagpredict.corpus.files._SMALL", 0)
    frame = pl.concat([row(f"c{number}") for number in range(7)])
    write_corpus(frame, tmp_path / "good.parquet")
    assert read_corpus(tmp_path / "good.parquet", nested=False).equals(read_corpus(frame, nested=False))
    problems = [[{"n": 1, "c": int(number == place) * 2}] for number in range(7)]
    frame.with_columns(pl.Series("pre_problems", problems)).write_parquet(tmp_path / "bad.parquet")
    with pytest.raises(CorpusError, match=f"bad.parquet: column 'pre_problems': c must .* candidate 'c{place}'"):
        read_corpus(tmp_path / "bad.parquet", nested=False)


def test_provenance_is_kept(runs):
    provenance = read_provenance(runs / "c0.parquet")
    assert provenance["plan"] == "p"
    assert provenance["seeds"] == "[0,1]"
    assert provenance["schema_version"] == "1"
    assert provenance["created_by"].startswith("quagpredict ")


def test_nothing_to_read(tmp_path):
    with pytest.raises(NothingToRankError, match="no file matches"):
        read_corpus(tmp_path / "*.parquet")
    with pytest.raises(NothingToRankError, match="holds no table"):
        read_corpus(tmp_path)
    with pytest.raises(NothingToRankError, match="no table was given"):
        read_corpus([])
    (tmp_path / "a.csv").write_text("")
    with pytest.raises(NothingToRankError, match="empty"):
        read_corpus(tmp_path / "a.csv")
    pl.DataFrame({"candidate": []}).write_parquet(tmp_path / "none.parquet")
    with pytest.raises(NothingToRankError, match=r"none.parquet: the table has no row"):
        read_corpus(tmp_path / "none.parquet")


@pytest.mark.parametrize("source", [None, 3, b"runs/*.parquet", {"candidate": ["a"]}, [1.5]])
def test_what_is_no_source(source):
    with pytest.raises(UsageError, match="cannot read a table from"):
        read_corpus(source)


def test_a_path_that_is_not_there_is_a_wrong_call():
    with pytest.raises(UsageError, match=r"missing.parquet: there is no such file or folder"):
        read_corpus("missing.parquet")


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b.parquet"])
def test_paths_that_cannot_be(name):
    with pytest.raises((CorpusError, UsageError)):
        read_corpus(name)


def test_a_wrong_cell_is_named_and_not_an_innocent_one(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("candidate,pre_pass_at_1\na,0.9\nb,high\n")
    with pytest.raises(CorpusError, match="must be numbers, found text such as 'high' in row 2"):
        read_corpus(path)


def test_csv_of_other_tools(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("candidate,pre_pass_at_1,pre_pass_at_1\na,0.9,0.8\n")
    with pytest.raises(CorpusError, match="column 'pre_pass_at_1' appears twice"):
        read_corpus(path)
    path.write_text("candidate;pre_pass_at_1\na;0,9\n")
    with pytest.raises(CorpusError, match=r"the header has one column.*separate columns by ','"):
        read_corpus(path)
    path.write_text("candidate,pre_pass_at_1\na,NA\nb,0.5\n")
    assert read_corpus(path)["pre_pass_at_1"].to_list() == [None, 0.5]


def test_a_corrupt_file_is_named(runs):
    path = runs / "c1.parquet"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(CorpusError, match=r"c1.parquet: this is no valid parquet file"):
        read_corpus(runs)


def test_other_suffixes_are_refused(tmp_path):
    (tmp_path / "a.xlsx").write_text("x")
    with pytest.raises(CorpusError, match=r"a table must be one of .parquet"):
        read_corpus(tmp_path / "a.xlsx")


def test_errors_name_the_file_of_several(runs, row):
    row("bad").with_columns(pre_pass_at_1=pl.lit(7.0)).write_parquet(runs / "d.parquet")
    with pytest.raises(CorpusError, match=r"d.parquet: column 'pre_pass_at_1': 7.0 of candidate 'bad'"):
        read_corpus(runs)
    # All of the same columns, so that they are checked together.
    other = row("bad").with_columns(pl.Series("pre_problems", [[{"n": 1, "c": 2}]], BY_NAME["pre_problems"].dtype))
    other.write_parquet(runs / "d.parquet")
    with pytest.raises(CorpusError, match=r"^[^ ]*/d.parquet: column 'pre_problems': c must .* candidate 'bad'"):
        read_corpus(runs, nested=False, derived=DERIVED)


def test_files_of_another_schema_version_are_refused(runs, row):
    row("z").write_parquet(runs / "z.parquet", metadata={"schema_version": "9"})
    with pytest.raises(CorpusError, match=r"z.parquet: schema_version is '9', this release reads 1"):
        read_corpus(runs)


def test_mixed_schema_versions_are_refused(runs, row, monkeypatch):
    monkeypatch.setattr("quagpredict.corpus.files.SCHEMA_VERSION", 2)
    write_parquet(row("z"), runs / "z.parquet", {"schema_version": "2"})  # vouched for, so read in this process
    with pytest.raises(CorpusError, match=r"different schema versions .1 in .*, 2 in .*z.parquet"):
        read_corpus(runs)


def test_mixed_protocols_over_files_are_refused_unless_allowed(runs, row):
    write_corpus(row("z", eval_protocol_id="e2"), runs / "z.parquet")
    with pytest.raises(IncomparableError, match="e1, e2"):
        read_corpus(runs)
    assert read_corpus(runs, allow_mixed_protocols=True).height == 4


def test_unknown_columns_of_different_kinds_are_named():
    one = pl.DataFrame({"candidate": ["a"], "mine": [[1]]})
    two = pl.DataFrame({"candidate": ["b"], "mine": ["x"]})
    with pytest.raises(CorpusError, match="table 2: column 'mine' is string, but list"):
        read_corpus([one, two])


def test_an_invalid_table_is_not_written(row, tmp_path):
    with pytest.raises(CorpusError):
        write_corpus(row(pre_pass_at_1=2.0), tmp_path / "a.parquet")
    with pytest.raises(UsageError, match=r"ends in .parquet"):
        write_corpus(row(), tmp_path / "a.csv")
    assert list(tmp_path.iterdir()) == []


def test_pandas_columns_that_mix_kinds_are_refused():
    with pytest.raises(QuagpredictError):
        read_corpus(pd.DataFrame({"candidate": ["a", "b"], "mine": ["x", 1]}))


def test_anyones_table_of_numbers_needs_no_names(tmp_path):
    pl.DataFrame({"web": [0.5, 0.2], "loss": [2.1, 2.3]}).write_csv(tmp_path / "mixtures.csv")
    assert read_corpus(tmp_path / "mixtures.csv")["candidate"].to_list() == ["row-1", "row-2"]


@pytest.mark.parametrize("column", ["pre_pass_at_1", "base_model"])
def test_a_corpus_without_names_is_a_mistake(column):
    values = {"pre_pass_at_1": [0.5], "base_model": ["a"]}[column]
    with pytest.raises(CorpusError, match="column 'candidate' is missing"):
        read_corpus(pl.DataFrame({"x": [1.0], column: values}))
