"""What programs share: records written last, errors in one line, digests that name content."""

import json
import shutil
import time

import pytest

from quagpredict.errors import CheckpointError, RecipeError
from quagpredict.files import file_digest
from quagpredict.program import run_program, weights_digest, write_record
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


@pytest.fixture
def checkpoint(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"a": 1}))
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def test_a_digest_is_of_what_the_folder_holds_not_of_its_name(checkpoint, tmp_path):
    renamed = tmp_path / "other"
    shutil.copytree(checkpoint, renamed)
    (renamed / "README.md").write_text("irrelevant")
    assert weights_digest(checkpoint) == weights_digest(renamed)
    (renamed / "model.safetensors").write_bytes(b"weightz")
    assert weights_digest(checkpoint) != weights_digest(renamed)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "chat_template.jinja", "generation_config.json"])
def test_config_tokenizer_and_template_are_part_of_it(checkpoint, name):
    before = weights_digest(checkpoint)
    (checkpoint / name).write_text("changed")
    assert weights_digest(checkpoint) != before


@pytest.mark.parametrize(("missing", "message"), [("config.json", "is missing"), ("", "no such checkpoint")])
def test_what_is_no_checkpoint_is_said(checkpoint, missing, message):
    if missing:
        (checkpoint / missing).unlink()
    else:
        shutil.rmtree(checkpoint)
    with pytest.raises(CheckpointError, match=message):
        weights_digest(checkpoint)


def test_a_folder_without_weights_is_said(checkpoint):
    (checkpoint / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="holds no weights"):
        weights_digest(checkpoint)
