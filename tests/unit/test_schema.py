"""The schema names every column once and in one way."""

import re
from pathlib import Path

import polars as pl

from quagpredict.schema import BY_NAME, COLUMNS, FEATURES, KEY, MEASUREMENT, MEASURES, TARGETS, empty_frame


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
    page = (Path(__file__).resolve().parents[2] / "docs" / "guide" / "corpus.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    others = {column.name for column in COLUMNS if column.role not in ("feature", "target")}
    assert listed == others | set(MEASUREMENT)


def test_the_guide_says_which_way_is_better_and_on_which_scale():
    page = (Path(__file__).resolve().parents[2] / "docs" / "guide" / "corpus.md").read_text(encoding="utf-8")
    listed = {cells[1].strip(" `"): cells for line in page.splitlines() if len(cells := line.split("|")) == 9}
    for column in MEASURES:
        better, scale = (cell.strip() for cell in listed[column.name][5:7])
        assert (better or None, scale or "identity") == (column.better, column.scale), column.name
