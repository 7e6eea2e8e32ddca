"""Whatever is wrong with a table, only a QuagpredictError comes out."""

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quagpredict.corpus import read_corpus, write_corpus
from quagpredict.errors import CorpusError, QuagpredictError
from quagpredict.schema import COLUMNS

NUMBERS = st.one_of(st.none(), st.floats(), st.integers(-(2**63), 2**64 - 1), st.sampled_from([0.0, 0.5, 1.0]))
RECORDS = st.dictionaries(
    st.sampled_from(["benchmark", "problem_id", "n", "c", "level", "step"]),
    st.one_of(st.none(), st.integers(-1, 9), st.floats(), st.text(max_size=2)),
    max_size=6,
)
CELLS = st.one_of(
    st.lists(NUMBERS, min_size=2, max_size=2),
    st.lists(st.one_of(st.none(), st.text(max_size=4), st.binary(max_size=4)), min_size=2, max_size=2),
    st.lists(st.one_of(st.none(), st.booleans()), min_size=2, max_size=2),
    st.lists(st.one_of(st.none(), st.lists(st.one_of(st.none(), RECORDS), max_size=3)), min_size=2, max_size=2),
    st.lists(st.lists(st.integers(), max_size=2), min_size=2, max_size=2),
    st.lists(st.one_of(st.none(), st.dates(), st.datetimes()), min_size=2, max_size=2),
)


def only_ours(source):
    """Read, and let nothing out but a table or an error of ours, on one line."""
    try:
        assert isinstance(read_corpus(source, allow_mixed_protocols=True), pl.DataFrame)
    except QuagpredictError as error:
        assert str(error)  # noqa: PT017 - either outcome is right
        assert "\n" not in str(error)  # noqa: PT017


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from([column.name for column in COLUMNS]), CELLS, min_size=1, max_size=5), st.booleans()
)
def test_corrupted_cells(cells, named):
    columns = {"candidate": ["a", "b"], **cells} if named else cells
    series = [pl.Series(name, values, strict=False) for name, values in columns.items()]
    only_ours(pl.DataFrame(series))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_changed_byte_anywhere_is_an_error_or_the_same_table(rows, tmp_path, data):
    path = tmp_path / "a.parquet"
    write_corpus(rows, path)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(content))
    try:
        assert read_corpus(path, allow_mixed_protocols=True).equals(rows)
    except CorpusError as error:
        assert str(path) in str(error)  # noqa: PT017 - either outcome is right


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_corrupted_bytes_of_a_file_of_another_tool(rows, tmp_path, data):
    path = tmp_path / "a.parquet"
    rows.write_parquet(path)
    content = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(4, len(content) - 9), min_size=1, max_size=20)):
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content[: data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))]))
    only_ours(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60), st.sampled_from(["csv", "tsv", "jsonl", "parquet"]))
def test_arbitrary_files(tmp_path, content, suffix):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content)
    only_ours(path)


@pytest.mark.parametrize("frame", [pl.DataFrame(), pl.DataFrame({"candidate": [[1]]}), pl.DataFrame({"": [1]})])
def test_odd_frames(frame):
    only_ours(frame)
