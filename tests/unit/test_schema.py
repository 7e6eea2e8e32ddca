"""The schema names every column once and in one way."""

import re
import runpy
from pathlib import Path

import polars as pl

from quagpredict.schema import BY_NAME, COLUMNS, FEATURES, KEY, MEASUREMENT, TARGETS, empty_frame

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_every_column_is_named_once():
    assert len(BY_NAME) == len(COLUMNS)


def test_features_and_targets_share_their_suffixes():
    assert [column.name.removeprefix("pre_") for column in FEATURES] == list(MEASUREMENT)
    assert [column.name.removeprefix("post_") for column in TARGETS] == list(MEASUREMENT)


def test_every_number_has_a_unit_and_every_column_a_description():
    for column in COLUMNS:
        assert column.description, column.name
        if column.role in ("feature", "target", "cost"):
            assert column.unit, column.name


def test_the_key_is_made_of_columns():
    assert set(KEY) <= set(BY_NAME)


def test_the_empty_frame_has_the_schema():
    assert dict(empty_frame().schema) == {column.name: column.dtype for column in COLUMNS}
    assert isinstance(empty_frame(), pl.DataFrame)


def test_the_guide_lists_every_column():
    page = (DOCS / "guide" / "corpus.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    others = {column.name for column in COLUMNS if column.role not in ("feature", "target")}
    assert listed == others | set(MEASUREMENT), "`python docs/columns.py` writes the measurements"


def test_the_guide_says_of_every_measurement_what_the_schema_says():
    written = runpy.run_path(str(DOCS / "columns.py"))["table"]()
    assert written in (DOCS / "guide" / "corpus.md").read_text(encoding="utf-8"), "run `python docs/columns.py`"
