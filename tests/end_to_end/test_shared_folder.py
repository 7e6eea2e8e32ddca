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
import pytest
import yaml

from quagpredict.collection.collecting import collect
from quagpredict.collection.ledger import read_ledger

STAND_IN = Path(__file__).parents[1] / "unit/collection/stand_in.py"
SUITE = """\
name: tiny
benchmarks: [{name: b, lab: {problems: 2, data: {operators: "+-", lengths: [1, 1]}}}]
sampling: {max_new_tokens: 8}
"""
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


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    for name, text in {"sft": "max_length: 64", "rl": "max_steps: 7", "suite": SUITE}.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    grid = {"unique_examples": 16, "epochs": [1, 2], "learning_rate": 1e-3, "seed": 0, "scenario": "dataset-level"}
    content = {
        "name": "tiny",
        "bases": {"weak": {"family": "qwen3", "pretrain": {"steps": 5}}},
        "data": {"broad": {"lab_data": {"lengths": [1, 6]}}},
        "sft": {"recipe": str(tmp_path / "sft.yaml")},
        "rl": {"recipe": str(tmp_path / "rl.yaml"), "seeds": [0]},
        "evaluation": {"suite": str(tmp_path / "suite.yaml"), "samples_before": 8, "samples_after": 4},
        "candidates": [{"base": "weak", "data": "broad", **grid}, {"base": "weak", "no_sft": True}],
        "launch": {"mode": "fork", "threads": 1},
        "programs": dict.fromkeys(("base", "sft", "rl", "evaluate"), str(STAND_IN)),
    }
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


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


def test_no_stage_counts_twice_whatever_happens_to_those_who_do_it(plan: Path, tmp_path: Path) -> None:
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
    shared, alone = (pl.read_parquet(tmp_path / name / "corpus.parquet") for name in ("shared", "alone"))
    kept = [name for name in alone.columns if not name.startswith("cost_")]
    assert shared.select(kept).equals(alone.select(kept))
