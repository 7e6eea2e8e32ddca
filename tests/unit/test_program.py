"""What programs share: records written last, errors in one line."""

import time

import pytest

from quagpredict.errors import RecipeError
from quagpredict.files import file_digest
from quagpredict.program import run_program, write_record
from quagpredict.run_record import read_record


def test_a_record_lists_every_output_with_its_digest(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.txt").write_text("a")
    write_record(tmp_path, program="p", started=time.perf_counter(), results={"x": 1}, inputs={"i": "d"})
    record = read_record(tmp_path)
    assert record.outputs == {"deep/a.txt": file_digest(tmp_path / "deep" / "a.txt")}
    assert record.results == {"x": 1}
    assert record.inputs == {"i": "d"}
    assert record.seconds >= 0
    assert "numpy" in record.versions


def test_a_result_that_json_cannot_hold_leaves_no_record(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_record(tmp_path, program="p", started=0.0, results={"x": float("nan")}, inputs={})
    assert list(tmp_path.iterdir()) == []


def test_an_error_is_one_line_and_its_exit_code(capsys):
    def main(_):
        raise RecipeError("a.yaml: unknown key 'x'")

    assert run_program(main) == 3
    assert capsys.readouterr().err == "error: a.yaml: unknown key 'x'\n"


def test_a_bug_is_not_hidden():
    def main(_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_program(main)
