import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quagpredict.collection import ledger as module
from quagpredict.collection.ledger import Attempt, Ledger, read_ledger
from quagpredict.errors import InvalidDataError
from quagpredict.run_record import RunRecord


def attempt(number: int) -> Attempt:
    record = RunRecord("p", {"text": 'line\nbreak "quoted" ü', "loss": None}, 1.5, outputs={"a": "b"})
    status = "done" if number % 2 else "failed"
    log = f"logs/sft-a-{number}.log"
    return Attempt(f"k{number}", "sft/a", status, record if number % 2 else None, log, "t", 2.0, {"seed": 1}, 0)


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


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
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
    known = {"key", "stage", "status", "record", "log", "started", "seconds", "config", "exit_code", "half_batch_next"}
    assert known == set(line)


def test_what_others_append_is_read_along(tmp_path: Path) -> None:
    main = Ledger(tmp_path / "ledger.jsonl")
    main.append(attempt(0))
    joined = Ledger(tmp_path / "ledger.jsonl", tmp_path / "ledger.a1.jsonl")
    assert joined.attempts == [attempt(0)]
    main.append(attempt(1))
    joined.append(attempt(2))
    assert (joined.refresh(), joined.refresh()) == ([attempt(1)], [])
    assert joined.knows(attempt(1).log)
    assert main.refresh() == [attempt(2)]
    with (tmp_path / "ledger.a1.jsonl").open("ab") as torn:  # as a reader sees a line that is being written
        torn.write(b'{"key":')
        torn.flush()
        assert main.refresh() == []
    for ledger in (main, joined):
        ledger.close()
    assert read_ledger(tmp_path / "ledger.jsonl") == [attempt(n) for n in range(3)]


def test_a_ledger_of_its_own_that_stayed_empty_goes(tmp_path: Path) -> None:
    Ledger(tmp_path / "ledger.jsonl", tmp_path / "ledger.a1.jsonl").close()
    assert list(tmp_path.iterdir()) == []


def test_one_that_goes_while_it_is_read_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A collector that joined and wrote nothing ends between the look at the folder and the look at its file."""
    main = Ledger(tmp_path / "ledger.jsonl")
    main.append(attempt(0))
    gone = [tmp_path / "ledger.jsonl", tmp_path / "ledger.a1.jsonl"]
    monkeypatch.setattr(module, "ledger_files", lambda _: gone)
    assert main.refresh() == []
    assert read_ledger(tmp_path / "ledger.jsonl") == [attempt(0)]
    Ledger(tmp_path / "ledger.jsonl", tmp_path / "ledger.b2.jsonl").close()
    main.close()


def test_attempts_at_a_stage_keep_their_order_whatever_the_clocks_said(tmp_path: Path) -> None:
    def at(number: int, started: str, status: str) -> Attempt:
        return Attempt("k", "sft/a", status, None, f"logs/sft-a-{number}.log", started, 1.0)  # type: ignore[arg-type]

    first, second = at(9, "2026-01-01T12:00:00+00:00", "failed"), at(10, "2026-01-01T10:00:00+00:00", "done")
    for own, line in ((None, second), (tmp_path / "ledger.a1.jsonl", first)):
        ledger = Ledger(tmp_path / "ledger.jsonl", own)
        ledger.append(line)
        ledger.close()
    assert read_ledger(tmp_path / "ledger.jsonl") == [first, second]


def test_a_line_of_a_later_version_is_read(tmp_path: Path) -> None:
    (line,) = written(tmp_path / "ledger.jsonl", 1).splitlines()
    (tmp_path / "ledger.jsonl").write_text(json.dumps({**json.loads(line), "of_a_later_version": 1}) + "\n")
    assert read_ledger(tmp_path / "ledger.jsonl") == [attempt(0)]


def test_a_folder_that_was_exchanged_is_noticed(tmp_path: Path) -> None:
    """As when a mount vanishes, and what was below it shows."""
    (tmp_path / "work").mkdir()
    ledger = Ledger(tmp_path / "work/ledger.jsonl")
    ledger.check_storage()
    (tmp_path / "work").rename(tmp_path / "gone")
    with pytest.raises(OSError, match="bring its storage back"):
        ledger.check_storage()
    (tmp_path / "work").mkdir()
    (tmp_path / "work/ledger.jsonl").touch()
    with pytest.raises(OSError, match="bring its storage back"):
        ledger.check_storage()
    ledger.close()
