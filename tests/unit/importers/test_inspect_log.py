"""The .eval logs of Inspect: read without it, whatever they are compressed with; damaged or endless ones are errors."""

import json
import random
import sys
import zipfile
from pathlib import Path

import pytest

from quagpredict.errors import InvalidDataError
from quagpredict.importers import detect, import_run
from quagpredict.importers.inspect_log import read_eval

FILES = Path(__file__).parent / "files"
TOY = FILES / "inspect_toy.eval"  # made by inspect_ai 0.3.285 with its mock model, as the .json beside it


def members(log):
    """The names and contents of the log as Inspect lays it out."""
    header = {key: value for key, value in log.items() if key != "samples"}
    found = {"_journal/start.json": {}, "summaries.json": [], "header.json": header}
    return found | {f"samples/{one['id']}_epoch_{one['epoch']}.json": one for one in log["samples"]}


def packed(path, contents, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as made:
        for name, value in contents:
            made.writestr(name, value if isinstance(value, bytes) else json.dumps(value))
    return path


@pytest.fixture
def log():
    return json.loads((FILES / "inspect_toy.json").read_text())


def test_an_eval_log_is_the_json_log():
    assert "inspect_ai" not in sys.modules
    assert detect([TOY]) == "inspect"
    found = import_run("auto", [TOY], candidate="a")
    same = import_run("auto", [FILES / "inspect_toy.json"], candidate="a")
    assert found.problems.equals(same.problems)
    assert found.eval_protocol_id == same.eval_protocol_id
    assert found.audit == same.audit
    assert "inspect_ai" not in sys.modules


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_older_logs_are_deflated(log, tmp_path, method):
    file = packed(tmp_path / "log.eval", members(log).items(), method)
    expected = import_run("auto", [TOY], candidate="a")
    assert import_run("auto", [file], candidate="a").problems.equals(expected.problems)


def test_a_large_sample_has_a_folder_an_id_may_have_slashes_and_the_last_one_of_a_name_counts(log, tmp_path):
    contents = list(members(log).items())
    name, sample = contents[-1]
    whole = name.removesuffix(".json")
    contents[-1:] = [
        (f"{whole}/sample.json", sample),
        (f"{whole}/events/stats.json", {}),
        (f"{whole}/events/0.json", []),
    ]
    slashed = sample | {"id": "a/b c", "epoch": 1}
    wrong = slashed | {"scores": {scorer: score | {"value": "I"} for scorer, score in sample["scores"].items()}}
    right = slashed | {"scores": {scorer: score | {"value": "C"} for scorer, score in sample["scores"].items()}}
    contents += [("samples/a/b c_epoch_1.json", wrong), ("samples/a/b c_epoch_1.json", right)]
    with pytest.warns(UserWarning, match="Duplicate name"):
        file = packed(tmp_path / "log.eval", contents)
    found = {(one["id"], one["epoch"]): one for one in read_eval(file)["samples"]}
    assert len(found) == len(log["samples"]) + 1
    assert found[sample["id"], sample["epoch"]]["scores"] == sample["scores"]
    assert {score["value"] for score in found["a/b c", 1]["scores"].values()} == {"C"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda all_of_it: all_of_it.pop("header.json"), r"no header\.json in it: the run did not end"),
        (lambda all_of_it: all_of_it.update({"header.json": []}), r"header\.json must hold a JSON object, got list"),
        (lambda all_of_it: all_of_it.update({"header.json": b"{"}), "cannot be read as a log of Inspect"),
        (lambda all_of_it: all_of_it["header.json"].update(status="started"), "ended with status 'started'"),
        (lambda all_of_it: [all_of_it.pop(name) for name in list(all_of_it) if "samples" in name], "has no samples"),
    ],
)
def test_what_is_no_finished_log_is_said(log, tmp_path, change, message):
    contents = members(log)
    change(contents)
    file = packed(tmp_path / "log.eval", contents.items())
    with pytest.raises(InvalidDataError, match=rf"log\.eval: .*{message}"):
        import_run("inspect", [file], candidate="a")


def test_a_log_that_unpacks_to_more_than_it_may_is_refused(log, tmp_path, monkeypatch):
    monkeypatch.setattr("quagpredict.packed._MOST_UNPACKED", 100_000)
    contents = members(log) | {"samples/x_epoch_1.json": b" " * 10_000_000 + b"{}"}
    file = packed(tmp_path / "log.eval", contents.items())
    with pytest.raises(InvalidDataError, match="unpacks to more than"):
        import_run("inspect", [file], candidate="a")


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_log_is_an_error_or_what_it_was(seed, tmp_path):
    content = bytearray(TOY.read_bytes())
    rng = random.Random(seed)
    if seed % 3 == 0:
        del content[rng.randrange(len(content)) :]
    else:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    file = tmp_path / "log.eval"
    file.write_bytes(content)
    try:
        found = read_eval(file)
    except InvalidDataError as error:
        said = str(error)
    else:  # a bit of the journal, of what zip says twice and nobody asks for, or of a date
        said = str(file)
        expected = {(one["id"], one["epoch"]): one for one in read_eval(TOY)["samples"]}
        assert all(one == expected[one["id"], one["epoch"]] for one in found["samples"])
        assert len(found["samples"]) == len(expected)
    assert str(file) in said


def test_the_events_of_a_sample_are_not_kept(log):
    kept = read_eval(TOY)["samples"][0]
    assert "events" in log["samples"][0]
    assert "events" not in kept
    assert {"id", "epoch", "target", "scores", "output"} <= kept.keys()
