"""Collections on the real SLURM: `make test-slurm`, which starts a cluster of two nodes on this machine around it.

It is not collected by itself, because not every machine has SLURM; outside a cluster it fails and says so.
"""

import os
import runpy
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from quagpredict.collection.collecting import collect
from quagpredict.collection.launch import Ended, Resources, Setting, launcher_of
from quagpredict.collection.ledger import read_ledger
from quagpredict.collection.slurm import SlurmLauncher
from quagpredict.errors import StageError, UsageError

CLUSTER = runpy.run_path(str(Path(__file__).with_name("slurm_cluster.py")))
OPTIONS = {"poll_seconds": 1}


@pytest.fixture(scope="session")
def cluster() -> Path:
    assert "QUAGPREDICT_SLURM_CLUSTER" in os.environ, "no cluster: run `make test-slurm`"
    return Path(os.environ["QUAGPREDICT_SLURM_CLUSTER"])


@pytest.fixture
def write_plan(write_plan: Callable[..., Path], cluster: Path) -> Callable[..., Path]:
    return lambda **launch: write_plan(launch={"threads": 1, "options": {"slurm": OPTIONS}, **launch})


def wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 240
    while not true():
        assert time.monotonic() < until
        time.sleep(0.1)


def running(cluster: Path) -> list[str]:
    """The nodes of the tasks that run now."""
    words = ["squeue", "--noheader", "--array", "--states=RUNNING", "--format=%N"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()


def start_collect(plan: Path, work: Path, *options: str, seconds: str) -> subprocess.Popen[bytes]:
    code = "import sys; from quagpredict.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "collect", str(plan), "--out", str(work), "--launcher", "slurm", *options]
    with work.with_name("said.txt").open("ab") as said:
        return subprocess.Popen(command, env={**os.environ, "STAND_IN_SECONDS": seconds}, stderr=said)


def test_a_lost_node_costs_time_and_nothing_else(
    write_plan: Callable[..., Path],
    without_costs: Callable[[Path], pl.DataFrame],
    tmp_path: Path,
    cluster: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan, work = write_plan(), tmp_path / "work"
    monkeypatch.setenv("STAND_IN_SECONDS", "1.5")
    began = time.monotonic()
    collect(plan, tmp_path / "local", workers=4)
    locally = time.monotonic() - began
    process = start_collect(plan, work, "--workers", "4", seconds="1.5")
    began = time.monotonic()
    try:
        # The base is done; several candidates are at work, on both nodes.
        wait_until(lambda: set(running(cluster)) == {"n1", "n2"} and (work / "stages/base/weak").exists())
        CLUSTER["kill_node"](cluster, "n2")
        time.sleep(3)
        CLUSTER["start_node"](cluster, "n2")
        assert process.wait(240) == 0
    finally:
        process.kill()
    print(f"\nlocally {locally:.1f} s, on SLURM with a node lost {time.monotonic() - began:.1f} s")
    assert without_costs(work).equals(without_costs(tmp_path / "local"))
    attempts = read_ledger(work / "ledger.jsonl")
    assert Counter(attempt.stage for attempt in attempts) == Counter(
        attempt.stage for attempt in read_ledger(tmp_path / "local/ledger.jsonl")
    )
    assert {attempt.status for attempt in attempts} == {"done"}


def test_jobs_of_a_killed_collect_are_waited_for_and_kept(
    write_plan: Callable[..., Path], tmp_path: Path, cluster: Path
) -> None:
    plan, work = write_plan(), tmp_path / "work"
    process = start_collect(plan, work, seconds="4")
    wait_until(lambda: running(cluster) != [])
    process.kill()
    process.wait()
    again = start_collect(plan, work, "--workers", "4", seconds="0")
    assert again.wait(240) == 0
    said = work.with_name("said.txt").read_text()
    assert "saved base/weak: it had finished when the collect that ran it was cut off" in said
    attempts = read_ledger(work / "ledger.jsonl")
    assert Counter(attempt.stage for attempt in attempts).most_common(1)[0][1] == 1
    assert len(attempts) == 12


def test_ctrl_c_cancels_what_is_in_the_queue(write_plan: Callable[..., Path], tmp_path: Path, cluster: Path) -> None:
    process = start_collect(write_plan(), tmp_path / "work", seconds="600")
    wait_until(lambda: running(cluster) != [])
    process.send_signal(signal.SIGINT)
    assert process.wait(120) == 130
    assert running(cluster) == []


def test_a_stage_over_the_plans_limit_has_failed_and_waiting_is_no_running(
    write_plan: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_SECONDS", "600")
    summary = collect(write_plan(time_limits={"base": 1}), tmp_path / "work", launcher="slurm")
    assert [attempt.stage for attempt in summary.failed] == ["base/weak"]
    log = (tmp_path / "work" / summary.failed[0].log).read_text()
    assert "error: ended after 1 s, the plan's launch.time_limits" in log


def test_before_slurms_own_limit_a_stage_goes_back_into_the_queue(tmp_path: Path, cluster: Path) -> None:
    """The signal that SLURM sends is sent here by hand: its limits are whole minutes."""
    program = tmp_path / "program.py"
    program.write_text(
        "import pathlib, sys, time\n"
        "seen = pathlib.Path(sys.argv[1])\n"
        "again = seen.exists()\n"
        "seen.touch()\n"
        "time.sleep(0 if again else 600)\n"
    )
    launcher = SlurmLauncher(Setting(os.environ, tmp_path, options={**OPTIONS, "time": "5"}))
    launcher.start("one", [sys.executable, str(program), str(tmp_path / "seen")], tmp_path / "log", Resources(1, None))
    wait_until(lambda: launcher.ended(0) == [] and (tmp_path / "seen").exists())
    task = launcher._running["one"]
    subprocess.run(["scancel", "--batch", "--signal=USR1", f"{task.job}_0"], check=True)
    ended: list[Ended] = []
    while not ended:
        ended += launcher.ended(1)
    assert ended == [Ended("one", 0)]
    assert "SLURM's time limit was near: the stage goes back" in (task.folder / "0.out").read_text()
    launcher.close()


def test_what_is_alike_and_ready_is_one_array(tmp_path: Path, cluster: Path) -> None:
    launcher = SlurmLauncher(Setting(os.environ, tmp_path, options=OPTIONS))
    for number in range(5):
        resources = Resources(2 if number == 4 else 1, None)
        launcher.start(str(number), ["/bin/true"], tmp_path / f"{number}.log", resources)
    ended: list[Ended] = []
    while len(ended) < 5:
        ended += launcher.ended(1)
    assert sorted(ended) == [Ended(str(number), 0) for number in range(5)]
    waves = sorted(path for path in (tmp_path / "slurm").iterdir())
    assert [len(list(wave.glob("*.exit"))) for wave in waves] == [4, 1]
    launcher.close()


def test_what_slurm_refuses_is_one_line(tmp_path: Path, cluster: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launcher = SlurmLauncher(Setting(os.environ, tmp_path, options={"partition": "none"}))
    launcher.start("one", ["/bin/true"], tmp_path / "log", Resources(None, None))
    with pytest.raises(StageError, match=r"launcher slurm: sbatch: .*invalid partition"):
        launcher.ended(0)
    with pytest.raises(UsageError, match=r"launch\.options\.slurm\.array is set by quagpredict"):
        SlurmLauncher(Setting(os.environ, tmp_path, options={"array": "1-3"}))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="'sbatch' is not on the PATH"):
        SlurmLauncher(Setting(os.environ, tmp_path))


def test_overhead_of_a_stage_of_one_second(write_plan: Callable[..., Path], tmp_path: Path, cluster: Path) -> None:
    """No time is asserted; the figures are printed, for docs/performance.md."""
    for launcher in ("spawn", "slurm"):
        setting = Setting(os.environ, tmp_path, options=OPTIONS if launcher == "slurm" else {})
        made = launcher_of(launcher, setting)
        made.wait_until_ready()
        seconds = []
        for number in range(5):
            began = time.monotonic()
            made.start(f"{number}", ["/bin/sleep", "1"], tmp_path / "log", Resources(1, None))
            while not made.ended(0.5):
                pass
            seconds.append(time.monotonic() - began - 1)
        made.close()
        print(f"\n{launcher}: beside the stage's own second {min(seconds):.2f} to {max(seconds):.2f} s")
