import fcntl
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quagpredict.collection import ledger as module
from quagpredict.collection.ledger import Attempt, Ledger, locked, read_ledger
from quagpredict.errors import InvalidDataError, UsageError
from quagpredict.run_record import RunRecord


def attempt(number: int) -> Attempt:
    record = RunRecord("p", {"text": 'line\nbreak "quoted" ü', "loss": None}, 1.5, outputs={"a": "b"})
    status = "done" if number % 2 else "failed"
    return Attempt(f"k{number}", "sft/a", status, record if number % 2 else None, "l", "t", 2.0, {"seed": 1}, 0)


def written(path: Path, count: int) -> bytes:
    ledger = Ledger(path)
    for number in range(count):
        ledger.append(attempt(number))
    ledger.close()
    return path.read_bytes()


def test_attempts_come_back_in_order(tmp_path: Path) -> None:
    written(tmp_path / "ledger.jsonl", 5)
    assert read_ledger(tmp_path / "ledger.jsonl") == [attempt(number) for number in range(5)]


def test_opening_again_appends(tmp_path: Path) -> None:
    before = written(tmp_path / "ledger.jsonl", 2)
    ledger = Ledger(tmp_path / "ledger.jsonl")
    assert ledger.attempts == [attempt(0), attempt(1)]
    ledger.append(attempt(2))
    ledger.close()
    assert (tmp_path / "ledger.jsonl").read_bytes().startswith(before)
    assert len(read_ledger(tmp_path / "ledger.jsonl")) == 3


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 10_000))
def test_a_torn_end_loses_no_whole_line_and_doubles_none(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "ledger.jsonl"
    path.unlink(missing_ok=True)
    whole = written(path, 3)
    left = whole[: cut % (len(whole) + 1)]
    path.write_bytes(left)
    ends = [position for position, byte in enumerate(whole) if byte == ord("\n")]
    # A line that lost nothing but its end of line is whole.
    expected = [attempt(number) for number, end in enumerate(ends) if len(left) >= end]
    assert read_ledger(path) == expected
    ledger = Ledger(path)
    assert ledger.attempts == expected
    ledger.append(attempt(7))
    ledger.close()
    assert read_ledger(path) == [*expected, attempt(7)]
    assert path.read_bytes().count(b"\n") == len(expected) + 1


@pytest.mark.parametrize("line", [b"", b"rubbish", b"{}", b"[]", b'{"key": 1', b"\xff\xff", b"null"])
def test_a_broken_line_in_the_middle_is_named_and_not_passed_over(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "ledger.jsonl"
    lines = written(path, 3).splitlines(keepends=True)
    lines[1] = line + b"\n"
    path.write_bytes(b"".join(lines))
    for read in (read_ledger, Ledger):
        with pytest.raises(InvalidDataError, match=r"ledger\.jsonl: line 2 is not an attempt"):
            read(path)
    assert path.read_bytes() == b"".join(lines)


def test_each_line_is_on_the_disk_before_append_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    sizes: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda handle: sizes.append(os.fstat(handle).st_size))
    ledger.append(attempt(0))
    assert sizes == [(tmp_path / "ledger.jsonl").stat().st_size]
    ledger.close()


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger.jsonl"
    before = written(path, 1)
    ledger = Ledger(path)
    whole_write = os.write
    monkeypatch.setattr(os, "write", lambda handle, line: whole_write(handle, line[:10]))
    with pytest.raises(OSError, match="is the disk full"):
        ledger.append(attempt(1))
    ledger.close()
    assert path.read_bytes() == before


def test_a_line_is_plain_json(tmp_path: Path) -> None:
    line = json.loads(written(tmp_path / "ledger.jsonl", 2).splitlines()[1])
    assert {"key", "stage", "status", "record", "log", "started", "seconds", "config", "exit_code"} == set(line)


def test_a_second_collect_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    named = rf"another collect \(process {os.getpid()}\) works in this folder"
    with locked(tmp_path), pytest.raises(UsageError, match=named):
        locked(tmp_path).__enter__()
    with locked(tmp_path):
        pass


def test_a_stage_that_still_dies_holds_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with locked(tmp_path) as stages:
        inherited = os.dup(stages)  # as a stage's process has it
    monkeypatch.setattr(module, "_DYING_SECONDS", 0.05)
    with pytest.raises(UsageError, match="stages of an earlier collect still run"):
        locked(tmp_path).__enter__()
    os.close(inherited)
    with locked(tmp_path) as stages:
        assert fcntl.fcntl(stages, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
