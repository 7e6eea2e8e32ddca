import json
from pathlib import Path

import pytest

from quagpredict.errors import InvalidDataError
from quagpredict.run_record import RECORD_NAME, RunRecord, read_record

WHOLE = {
    "program": "training/train_sft.py",
    "results": {"sft_steps": 3},
    "seconds": 1.5,
    "versions": {"torch": "2.13.0"},
    "inputs": {"base": "abc"},
    "outputs": {"model.safetensors": "def"},
}


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / RECORD_NAME).write_text(json.dumps(WHOLE))
    record = read_record(tmp_path)
    assert record.as_dict() == WHOLE
    assert RunRecord.from_mapping(record.as_dict(), "again") == record


def test_fields_of_a_later_version_are_ignored() -> None:
    assert RunRecord.from_mapping({**WHOLE, "weather": "fine"}, "record.json").as_dict() == WHOLE


@pytest.mark.parametrize("missing", ["program", "results", "seconds"])
def test_a_missing_field_is_named(missing: str) -> None:
    content = {key: value for key, value in WHOLE.items() if key != missing}
    with pytest.raises(InvalidDataError, match=f"here: the field '{missing}' is missing"):
        RunRecord.from_mapping(content, "here")


@pytest.mark.parametrize(("field", "value"), [("program", 1), ("results", []), ("seconds", True), ("outputs", None)])
def test_a_wrong_type_is_named(field: str, value: object) -> None:
    with pytest.raises(InvalidDataError, match=f"here: field '{field}' has the wrong type"):
        RunRecord.from_mapping({**WHOLE, field: value}, "here")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"a"'])
def test_what_is_no_record_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / RECORD_NAME).write_text(text)
    with pytest.raises(InvalidDataError, match=r"record\.json"):
        read_record(tmp_path)


def test_a_folder_without_record_did_not_finish(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataError, match="did not finish"):
        read_record(tmp_path)


def test_a_file_that_no_record_is_as_large_as_is_not_read(tmp_path):
    with (tmp_path / "record.json").open("wb") as file:
        file.truncate(2**33)
    with pytest.raises(InvalidDataError, match="larger than 64 MiB"):
        read_record(tmp_path)
