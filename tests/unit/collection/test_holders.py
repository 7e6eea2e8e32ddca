import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from quagpredict.collection.holders import Holders, Machine, at_work, holder_of
from quagpredict.errors import UsageError

ELSEWHERE = Machine("another boot", "another machine")


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_machine_is_itself_after_another_start() -> None:
    here = Machine.here()
    assert here.is_same(Machine.here())
    assert Machine("a", "host 1").is_same(Machine("b", "host 1"))
    assert not Machine("a", "").is_same(Machine("b", ""))  # a container without a name of its own


def test_one_elsewhere_is_silent_by_the_clock_of_who_watches(tmp_path: Path) -> None:
    clock = Clock()
    holder = Holders(tmp_path, machine=ELSEWHERE, alive=False, lease_seconds=60)
    watcher = Holders(tmp_path, clock=clock, alive=False)
    assert watcher.others() == [holder.me]
    assert watcher.sign_of(holder.me) == "lives"
    clock.now += 59
    assert watcher.sign_of(holder.me) == "lives"
    clock.now += 1
    assert watcher.sign_of(holder.me) == "silent"
    holder.beat()
    assert watcher.sign_of(holder.me) == "lives"
    clock.now -= 10**6  # a clock set back: only the waiting gets longer
    assert watcher.sign_of(holder.me) == "lives"
    holder.close()
    assert watcher.sign_of(holder.me) == "gone"
    assert watcher.others() == []
    watcher.close()
    assert list((tmp_path / "collectors").iterdir()) == []


def test_one_that_was_killed_is_gone_once_its_stages_are(tmp_path: Path) -> None:
    code = (
        "import os, subprocess, sys; from pathlib import Path; from quagpredict.collection.holders import Holders;"
        "holders = Holders(Path(sys.argv[1]));"
        "stage = subprocess.Popen(['sleep', '600'], pass_fds=[holders.stages], stdout=subprocess.DEVNULL);"
        "print(stage.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, check=False)
    watcher = Holders(tmp_path, alive=False)
    (holder,) = watcher.others()
    assert watcher.sign_of(holder) == "lives"
    os.kill(int(killed.stdout), 9)
    until = time.monotonic() + 60
    while watcher.sign_of(holder) == "lives":
        assert time.monotonic() < until
    assert watcher.sign_of(holder) == "gone"
    watcher.close()


def test_a_second_is_refused_with_the_process_of_the_first(tmp_path: Path) -> None:
    named = rf"another collect \(process {os.getpid()}\) works in this folder; wait or stop it, or join it"
    with at_work(tmp_path) as first:
        with pytest.raises(UsageError, match=named):
            at_work(tmp_path).__enter__()
        assert first.others() == []
        with at_work(tmp_path, join=True) as second:
            assert first.others() == [second.me]
    with at_work(tmp_path):
        pass


def test_one_on_another_machine_is_refused_when_the_other_gives_a_sign(tmp_path: Path) -> None:
    other = Holders(tmp_path, machine=ELSEWHERE, alive=False)
    beating = threading.Timer(0.2, other.beat)
    beating.start()
    with pytest.raises(UsageError, match=rf"process {os.getpid()} on "):
        at_work(tmp_path).__enter__()
    beating.join()
    other.close()


def test_one_on_another_machine_that_stays_silent_is_waited_for_and_no_longer(tmp_path: Path) -> None:
    other = Holders(tmp_path, machine=ELSEWHERE, alive=False, lease_seconds=0.3)
    with at_work(tmp_path):
        pass
    other.close()


def test_an_earlier_version_is_alone_or_not_there(tmp_path: Path) -> None:
    import fcntl

    with (tmp_path / "collect.lock").open("w") as old:
        old.write("4711\n")
        old.flush()
        fcntl.flock(old, fcntl.LOCK_EX)
        for join in (False, True):
            with pytest.raises(UsageError, match=r"another collect \(process 4711\) of an earlier version"):
                at_work(tmp_path, join=join).__enter__()
    with at_work(tmp_path), (tmp_path / "collect.lock").open("r+") as old, pytest.raises(BlockingIOError):
        fcntl.flock(old, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_signs_of_life_come_by_themselves(tmp_path: Path) -> None:
    clock = Clock()
    holder = Holders(tmp_path, machine=ELSEWHERE, lease_seconds=0.1)
    watcher = Holders(tmp_path, clock=clock, alive=False)
    watcher.sign_of(holder.me)
    clock.now += 1
    until = time.monotonic() + 60
    while watcher.sign_of(holder.me) != "lives":
        assert time.monotonic() < until
    holder.close()
    watcher.close()


def test_no_sign_of_life_is_given_into_a_file_that_was_opened_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A beat that is under way when a collector closes: its file's number may be another file's by then."""
    holder = Holders(tmp_path, lease_seconds=0.06)
    under_way, beaten = threading.Event(), threading.Event()

    def slow_beat() -> None:
        under_way.set()
        holder._closing.wait(60)
        time.sleep(0.05)
        os.fstat(holder._beat)  # an error, or another file, if it was closed
        beaten.set()

    monkeypatch.setattr(holder, "beat", slow_beat)
    assert under_way.wait(60)
    holder.close()
    assert beaten.is_set()


def test_what_is_written_down_is_read_back(tmp_path: Path) -> None:
    import json

    holders = Holders(tmp_path, alive=False, elsewhere=True)
    (file,) = (tmp_path / "collectors").glob("*.json")
    assert holder_of(json.loads(file.read_text())) == holders.me
    holders.close()
