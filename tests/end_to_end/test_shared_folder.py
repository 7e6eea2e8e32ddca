"""Collectors at one folder, as if each were on a machine of its own, that are killed, stopped and told lies."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from quagpredict.collection.collecting import collect
from quagpredict.collection.ledger import read_ledger

# A collector on the machine NAME; the clock of the machine "leaping" is wrong by up to an hour, each time anew.
COLLECTOR = """
import random, sys, time
from quagpredict.collection import holders
from quagpredict.collection.collecting import collect
name, plan, work = sys.argv[1:]
holders.Machine.here = classmethod(lambda cls: cls(name, ""))
if name == "leaping":
    wrong = random.Random(0)
    holders.Holders.__init__.__kwdefaults__["clock"] = lambda: time.monotonic() + wrong.uniform(-3600, 3600)
collect(plan, work, join=True, lease_seconds=4.0)
"""


@contextmanager
def collector(name: str, plan: Path, work: Path, seconds: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", COLLECTOR, name, str(plan), str(work)]
    said = (work.parent / f"{name}.txt").open("wb")
    process = subprocess.Popen(command, env={**os.environ, "STAND_IN_SECONDS": seconds}, stderr=said)
    try:
        yield process
    finally:
        with said:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()


def wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 300
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


def machine_at_work(work: Path) -> list[str]:
    """The machines that hold a stage's lease, by their claims."""
    claims = [path for path in work.glob("claims/*/*/*/said.json") if not (path.parent / "end").exists()]
    return [json.loads(path.read_text())["holder"]["machine"]["boot"] for path in claims]


def test_no_stage_counts_twice_whatever_happens_to_those_who_do_it(
    write_plan: Callable[..., Path], without_costs: Callable[[Path], pl.DataFrame], tmp_path: Path
) -> None:
    plan = write_plan()
    collect(plan, tmp_path / "alone")
    work = tmp_path / "shared"
    with (
        collector("killed", plan, work, "600") as killed,
        collector("stopped", plan, work, "0.5") as stopped,
        collector("leaping", plan, work, "0.5") as leaping,
    ):
        wait_until(lambda: (work / "claims").exists() and "killed" in machine_at_work(work))
        killed.kill()  # in the middle of a stage that would have taken ten minutes
        wait_until(lambda: "stopped" in machine_at_work(work))
        stopped.send_signal(signal.SIGSTOP)  # it believes that its lease is good when it goes on
        assert leaping.wait(300) == 0
        stopped.send_signal(signal.SIGCONT)
        assert stopped.wait(300) == 0

    attempts = read_ledger(work / "ledger.jsonl")
    times = Counter(attempt.stage for attempt in attempts if attempt.status == "done")
    assert set(times) == {attempt.stage for attempt in read_ledger(tmp_path / "alone/ledger.jsonl")}
    assert set(times.values()) == {1}
    assert not list((work / "stages").glob("*/*.attempt-*/record.json"))
    assert without_costs(work).equals(without_costs(tmp_path / "alone"))
