"""The reader of anyone's samples."""

import json

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.answers import GradingPolicy
from quagpredict.errors import InvalidDataError, UsageError
from quagpredict.importers import import_run, samples
from quagpredict.importers.records import json_columns, json_lines
from quagpredict.importers.samples import read

ROWS = [
    {"problem": name, "reward": reward, "text": f"a long response {place} to {name}: \\boxed{{{place}}}", "answer": "1"}
    for name, rewards in (("p", (1.0, 0.5, 0.0)), ("q", (0.25, 0.0, 0.0)))
    for place, reward in enumerate(rewards)
]


def counts(found):
    return {row["problem_id"]: (row["n"], row["c"]) for row in found.problems.iter_rows(named=True)}


def written(folder, rows, suffix):
    frame, path = pl.DataFrame(rows), folder / f"mine{suffix}"
    if suffix == ".parquet":
        frame.write_parquet(path)
    elif suffix == ".csv":
        frame.write_csv(path)
    elif suffix == ".tsv":
        frame.write_csv(path, separator="\t")
    elif suffix == ".json":
        path.write_text(json.dumps(rows))
    elif suffix == ".table.json":
        path.write_text(json.dumps({"columns": frame.columns, "data": list(map(list, frame.rows())), "ncols": 4}))
    else:
        frame.write_ndjson(path)
    return path


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".tsv", ".parquet", ".json", ".table.json"])
def test_every_kind_of_table_gives_the_same(tmp_path, suffix):
    file = written(tmp_path, ROWS, suffix)
    names = {"id": "problem", "correct": "reward", "response": "text", "gold": "answer"}
    found = import_run("samples", [file], candidate="a", threshold=0.5, **names)
    assert counts(found) == {"p": (3, 2), "q": (3, 0)}
    assert counts(import_run("auto", [tmp_path], candidate="a", threshold=0.25, **names)) == {"p": (3, 2), "q": (3, 1)}
    with pytest.raises(InvalidDataError, match=r"'reward' is '0\.5' in record 2, .*only 0 and 1.*`threshold`"):
        import_run("samples", [file], candidate="a", **names)
    regraded = import_run("samples", [file], candidate="a", threshold=0.5, regrade=GradingPolicy(), **names)
    assert counts(regraded) == {"p": (3, 1), "q": (3, 1)}


def test_the_threshold_is_part_of_the_protocol(tmp_path):
    file = written(tmp_path, ROWS, ".csv")
    ids = {
        import_run("samples", [file], candidate="a", id="problem", correct="reward", threshold=x).eval_protocol_id
        for x in (0.25, 0.5)
    }
    assert len(ids) == 2


def test_columns_of_the_usual_names_are_found(tmp_path):
    rows = [
        {"id": i, "correct": i == 0, "benchmark": name, "truncated": i == 1, "response": f"a response {i}, {name}, {j}"}
        for name in ("aime", "math") for i in range(2) for j in range(2)
    ]  # fmt: skip
    found = import_run("auto", [written(tmp_path, rows, ".parquet")], candidate="a")
    assert found.format == "samples"
    assert found.problems.rows() == [("aime", "0", 2, 2), ("aime", "1", 2, 0), ("math", "0", 2, 2), ("math", "1", 2, 0)]


def test_samples_without_verdicts_have_to_be_graded(tmp_path):
    file = written(tmp_path, [row | {"reward": None} for row in ROWS], ".jsonl")
    names = {"id": "problem", "response": "text", "gold": "answer"}
    with pytest.raises(InvalidDataError, match="do not say how many are correct: `regrade` counts them"):
        import_run("samples", [file], candidate="a", **names)
    assert counts(import_run("samples", [file], candidate="a", regrade=GradingPolicy(), **names))["p"] == (3, 1)
    with pytest.raises(InvalidDataError, match="no column of verdicts"):
        import_run("samples", [file], candidate="a", id="problem")


def test_a_missing_verdict_is_not_a_wrong_one(tmp_path):
    rows = [*ROWS[:5], ROWS[5] | {"reward": float("nan")}]
    for suffix in (".csv", ".parquet", ".table.json"):
        file = written(tmp_path, rows, suffix)
        call = {"id": "problem", "correct": "reward", "threshold": 1.0, "candidate": "a"}
        with pytest.raises(InvalidDataError, match=r"3 samples|1 of 6 samples have no verdict"):
            import_run("samples", [file], **call)
        assert counts(import_run("samples", [file], allow_ragged=True, **call)) == {"p": (3, 1), "q": (2, 0)}


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("id,ok\na,1\n", {"correct": "okay"}, "the column 'okay' is missing; there are id, ok"),
        ("id,ok\n,1\n", {"correct": "ok"}, "record 1 has no id"),
        ("id,ok\na,yes\n", {"correct": "ok"}, "'ok' must be true, false, 0 or 1, got 'yes' in record 1"),
        ("id,ok\na,x\n", {"correct": "ok", "threshold": 1}, "'ok' must be a number, got 'x'"),
        ("id,ok,ok\na,1,1\n", {"correct": "ok"}, "the column 'ok' appears twice"),
        ("id,ok,gold\na,1,x\na,1,y\n", {"correct": "ok"}, "has several gold answers"),
        ("id,ok\na,1,7\n", {"correct": "ok"}, "not a valid CSV file"),
    ],
)
def test_bad_tables_are_named(tmp_path, content, options, message):
    file = tmp_path / "b.csv"
    file.write_text(content)
    with pytest.raises(InvalidDataError, match=message):
        import_run("samples", [file], candidate="a", **options)


def test_names_of_columns_go_with_samples_only(tmp_path):
    file = written(tmp_path, [{"id": "p", "n": 2, "c": 1}], ".csv")
    with pytest.raises(UsageError, match="`response` goes with samples only; the format is counts"):
        import_run("counts", [file], candidate="a", response="x")


def test_prompts_may_be_ids(tmp_path):
    rows = [{"prompt": name * 90, "ok": 1} for name in ("ab", "cd") for _ in range(2)]
    found = import_run("samples", [written(tmp_path, rows, ".jsonl")], candidate="a", id="prompt", correct="ok")
    assert found.problems["n"].to_list() == [2, 2]
    assert found.problems["problem_id"].str.starts_with("prompt-").all()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(-1e6, 1e6) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=120, deadline=None)
@given(
    rows=st.lists(st.dictionaries(st.sampled_from(["a", "b", "c"]), JSON), min_size=1, max_size=5), nan=st.booleans()
)
def test_the_fast_and_the_careful_reading_agree(rows, nan, tmp_path_factory):
    """Polars reads JSON lines ten times as fast; what it cannot read, NaN for one, goes line by line."""
    file = tmp_path_factory.mktemp("json") / "a.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows) + ('{"z": NaN}\n' if nan else ""))
    table = json_columns(file, ["a", "b"])
    for found, record in zip(table.iter_rows(named=True), json_lines(file), strict=True):
        for name in ("a", "b"):
            value, text = record.get(name), found[name]
            if value is None or isinstance(value, str):
                assert text == value
            else:
                assert text is not None
                assert (
                    json.loads(text) == pytest.approx(value) if isinstance(value, float) else json.loads(text) == value
                )


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".tsv", ".jsonl"])
@given(data=st.data())
@settings(max_examples=8)
def test_a_table_that_is_read_in_parts_gives_the_same(tmp_path_factory, suffix, data):
    rows = data.draw(
        st.lists(
            st.fixed_dictionaries(
                {
                    "id": st.sampled_from(["p", "q", "r", "a prompt " * 20]),
                    "correct": st.sampled_from([True, False, None]),
                    "benchmark": st.sampled_from(["aime", "math"]),
                    "truncated": st.booleans(),
                }
            ),
            min_size=1,
            max_size=30,
        ).filter(lambda rows: any(row["correct"] is not None for row in rows))
    )
    file = written(tmp_path_factory.mktemp("table"), rows, suffix)
    size = data.draw(st.integers(4, 12))
    whole = read([file])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "LARGE", dict.fromkeys(samples.LARGE, 0))
        patch.setattr(samples, "ROWS", size)
        patch.setattr(samples, "_BYTES", 100 * size)  # the first of them may be the only one that has an optional key
        parted = read([file])
    names = ["benchmark", "problem_id", "n", "c", "truncated"]
    assert sorted(parted.problems.select(names).rows()) == sorted(whole.problems.select(names).rows())
    assert (parted.left_out, parted.stated) == (whole.left_out, whole.stated)


def test_a_large_table_keeps_of_its_responses_what_tells_copies(tmp_path, monkeypatch):
    long = "the same long response again and again, word for word, to the last of all its words"
    rows = [{"id": name, "correct": place == 0, "response": long} for name in "pq" for place in range(3)]
    file = written(tmp_path, rows, ".parquet")
    monkeypatch.setattr(samples, "LARGE", {".parquet": 0, ".csv": 0})
    with pytest.raises(InvalidDataError, match="100% of the pairs of responses to one problem are the same text"):
        import_run("samples", [file], candidate="a")
    found = import_run("samples", [file], candidate="a", allow_duplicates=True)
    assert counts(found) == {"p": (3, 1), "q": (3, 1)}
    assert "read in parts, since it is large" in " ".join(found.audit.notes)
    with pytest.raises(InvalidDataError, match=r"no column of verdicts .* too large to be graded here: split it into"):
        import_run("samples", [written(tmp_path, [{"id": "p", "response": "1", "gold": "1"}], ".csv")], candidate="a")


def test_errors_of_a_large_table_name_the_record(tmp_path, monkeypatch):
    monkeypatch.setattr(samples, "LARGE", {".csv": 0, ".jsonl": 0})
    monkeypatch.setattr(samples, "ROWS", 2)
    monkeypatch.setattr(samples, "_BYTES", 60)
    for wrong, said in (({"correct": "maybe"}, "got 'maybe' in record 5"), ({"id": None}, "record 5 has no id")):
        rows = [{"id": "p", "correct": "1", **(wrong if place == 4 else {})} for place in range(6)]
        for suffix in (".csv", ".jsonl"):
            with pytest.raises(InvalidDataError, match=said):
                import_run("samples", [written(tmp_path, rows, suffix)], candidate="a")
    lines = written(tmp_path, rows, ".jsonl").read_bytes().splitlines(keepends=True)
    for broken, said in (
        (b"{\n", "line 5 is not JSON"),
        (b'{"id": "\xff"}\n', "UTF-8"),
        (b"1\n", "line 5"),
    ):
        (tmp_path / "broken.jsonl").write_bytes(b"".join([*lines[:4], broken, *lines[4:]]))
        with pytest.raises(InvalidDataError, match=said):
            import_run("samples", [tmp_path / "broken.jsonl"], candidate="a")
    with pytest.raises(InvalidDataError, match="none of its 2 samples has a verdict in 'correct'"):
        import_run("samples", [written(tmp_path, [{"id": "p", "correct": None}] * 2, ".csv")], candidate="a")


def test_what_only_later_lines_of_a_large_file_hold_is_not_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(samples, "_BYTES", 64)
    rows = [{"id": f"p{at // 4}", "correct": at % 3 > 0} for at in range(8)]
    rows += [{**row, "benchmark": "other", "truncated": True} for row in rows]
    file = tmp_path / "mine.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    whole = read([file]).problems
    assert whole["benchmark"].n_unique() == 2
    monkeypatch.setattr(samples, "LARGE", {".jsonl": 0})
    parts = read([file]).problems
    assert parts.select("benchmark", "problem_id", "n", "c").equals(whole.select("benchmark", "problem_id", "n", "c"))


def test_a_column_has_one_role_and_responses_with_answers_are_recognised(tmp_path):
    file = tmp_path / "s.jsonl"
    file.write_text('{"id": 1, "response": "so 4", "gold": "1"}')
    with pytest.raises(UsageError, match="column 'gold' is named twice"):
        import_run("samples", file, candidate="a", correct="gold", gold="gold")
    assert import_run("samples", file, candidate="a", correct="gold").row["pre_pass_at_1"].item() == 1.0
    with pytest.raises(InvalidDataError, match="`regrade` counts them"):
        import_run("auto", file, candidate="a")
    for text, said in (("", "the file is empty"), ('{"a": ', "line 1 is not JSON"), ('{"a": 1}', r"\(it has a\)")):
        file.write_text(text)
        with pytest.raises(InvalidDataError, match=said):
            import_run("auto", file, candidate="a")
