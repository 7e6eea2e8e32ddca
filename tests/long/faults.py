"""What befalls a collection, tried: `python tests/long/faults.py` prints the table of docs/guide/faults.md.

Each fault hits a small collection of stand-in programs in the middle; then what caused it is taken away, the same
command is given again, and the table must be that of a collection that nothing befell, with every stage in the ledger
once. It mounts small file systems in a folder of its own, so it has to be root on Linux.
"""

import argparse
import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import yaml

from quagpredict.collection.ledger import read_ledger

STAND_IN = Path(__file__).parents[1] / "unit/collection/stand_in.py"
COLLECT = "import sys; from quagpredict.cli import main; sys.exit(main(sys.argv[1:]))"
SUITE = """\
name: tiny
benchmarks: [{name: b, lab: {problems: 2, data: {operators: "+-", lengths: [1, 1]}}}]
sampling: {max_new_tokens: 8}
"""
# The RL program of every plan here: the first time it does what FAULT says, afterwards what it should.
FAULTY = f"""
import json, os, resource, runpy, signal, sys, time
from pathlib import Path
import yaml
mark, fault = Path(os.environ.get("FAULT_MARK", "/")), os.environ.get("FAULT", "")
if fault and not mark.exists():
    mark.touch()
    if fault == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "hangs":
        time.sleep(3600)
    if fault == "memory":
        resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
        bytearray(2**31)
    if fault == "nan":
        folder = Path(yaml.safe_load(Path(sys.argv[2]).read_text())["output_dir"])
        curve = [{{"step": 1, "reward": float("nan")}}]
        record = {{"program": "p", "results": {{"rl_curve": curve, "rl_steps": 7}}, "seconds": 1.0}}
        (folder / "record.json").write_text(json.dumps(record))
        raise SystemExit(0)
runpy.run_path({str(STAND_IN)!r}, run_name="__main__")
"""


class Trial:
    """One collection that something befalls."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder / name
        self.folder.mkdir()
        self.work = self.folder / "work"
        self.said = self.folder / "said.txt"

    def start(self, *options: str, seconds: float = 0.0, **environment: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, **environment, "STAND_IN_SECONDS": str(seconds)}
        command = [sys.executable, "-c", COLLECT, "collect", str(self.folder.parent / "plan.yaml")]
        self.said.unlink(missing_ok=True)  # one that still runs goes on with its own
        with self.said.open("wb") as said:
            return subprocess.Popen(
                [*command, "--out", str(self.work), *options],
                stderr=said,
                env={**environment, "FAULT_MARK": str(self.folder / "mark")},
            )

    def run(self, *options: str, **how: str) -> int:
        return self.start(*options, **how).wait(600)

    def words(self) -> str:
        """The last line that it said which is no progress, without paths."""
        lines = self.said.read_text(errors="replace").splitlines()
        lines = [line for line in lines if line.startswith(("error", "[")) and ": done in" not in line]
        text = next((line for line in lines if "failed" in line), lines[-1] if lines else "nothing")
        return text.replace(f"{self.work}/", "").replace(str(self.work), "WORK").partition(", see")[0]


def wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 300
    while not true():
        if time.monotonic() > until:
            raise SystemExit("waited for 300 s in vain")
        time.sleep(0.02)


def children(process: int) -> list[int]:
    listed = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in listed.splitlines()]
    return [child for child, parent in pairs if parent == process]


@contextmanager
def small_disk(place: Path) -> Iterator[None]:
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def stage_in_the_middle(trial: Trial) -> None:
    wait_until(lambda: (trial.work / "stages/base/weak").exists())
    wait_until(lambda: any((trial.work / "stages").glob("*/*.attempt-*")))


def program_fault(fault: str) -> Callable[[Trial], int]:
    return lambda trial: trial.run(FAULT=fault)


def kill_collect(trial: Trial) -> int:
    process = trial.start(seconds=2)
    stage_in_the_middle(trial)
    process.kill()
    return process.wait()


def kill_launcher(trial: Trial) -> int:
    process = trial.start(seconds=1)
    stage_in_the_middle(trial)
    os.kill(children(process.pid)[0], signal.SIGKILL)
    return process.wait(600)


def stop_and_kill_stage(trial: Trial) -> int:
    process = trial.start(seconds=2)
    stage_in_the_middle(trial)
    wait_until(lambda: any(children(child) for child in children(process.pid)))
    for stage in [stage for child in children(process.pid) for stage in children(child)]:
        os.kill(stage, signal.SIGKILL)
    return process.wait(600)


def full_disk(trial: Trial) -> int:
    process = trial.start(seconds=1)
    stage_in_the_middle(trial)
    with contextlib.suppress(OSError), (trial.work / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))
    code = process.wait(600)
    (trial.work / "filler").unlink()
    return code


def read_only(trial: Trial) -> int:
    assert trial.run("--until", "base") == 0
    subprocess.run(["mount", "-o", "remount,ro", str(trial.work)], check=True)
    code = trial.run()
    subprocess.run(["mount", "-o", "remount,rw", str(trial.work)], check=True)
    return code


def vanishing(trial: Trial) -> int:
    """The folder is mounted elsewhere too, so that it can come back as it was."""
    kept = trial.folder / "kept"
    kept.mkdir()
    subprocess.run(["mount", "--bind", str(trial.work), str(kept)], check=True)
    process = trial.start(seconds=1)
    stage_in_the_middle(trial)
    subprocess.run(["umount", "-l", str(trial.work)], check=True)
    code = process.wait(600)
    subprocess.run(["mount", "--bind", str(kept), str(trial.work)], check=True)
    subprocess.run(["umount", "-l", str(kept)], check=True)
    return code


def newer_version(trial: Trial) -> int:
    """Another version has written to the ledger, with a field that this one does not know."""
    assert trial.run("--until", "base") == 0
    ledger = trial.work / "ledger.jsonl"
    (line,) = ledger.read_text().splitlines()
    ledger.write_text(json.dumps({**json.loads(line), "of_a_later_version": [1]}) + "\n")
    return trial.run()


def older_version(trial: Trial) -> int:
    trial.work.mkdir()
    with (trial.work / "collect.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return trial.run()


def second_collect(trial: Trial) -> int:
    first = trial.start(seconds=1)
    stage_in_the_middle(trial)
    code = trial.run()
    assert first.wait(600) == 0
    return code


# What is tried, whether on a small disk of its own, and what does it.
FAULTS: tuple[tuple[str, bool, Callable[[Trial], int]], ...] = (
    ("a stage is killed (SIGKILL, also what the kernel does when memory runs out)", False, stop_and_kill_stage),
    ("a program kills itself", False, program_fault("killed")),
    ("a program asks for more memory than it may have", False, program_fault("memory")),
    ("a program hangs; the plan's limit for it is 4 s", False, program_fault("hangs")),
    ("a program writes NaN into its record", False, program_fault("nan")),
    ("the process that starts the stages is killed", False, kill_launcher),
    ("`collect` is killed", False, kill_collect),
    ("the disk is full", True, full_disk),
    ("the folder is read-only", True, read_only),
    ("the storage vanishes, and comes back later", True, vanishing),
    ("a later version has written to the ledger", False, newer_version),
    ("an earlier version is at the folder", False, older_version),
    ("a second `collect` at the folder, without `--join`", False, second_collect),
)


def write_plan(folder: Path) -> None:
    for name, text in {"rl": "max_steps: 7", "suite": SUITE}.items():
        (folder / f"{name}.yaml").write_text(text)
    (folder / "faulty.py").write_text(FAULTY)
    content = {
        "name": "tiny",
        "bases": {"weak": {"family": "qwen3", "pretrain": {"steps": 5}}},
        "rl": {"recipe": str(folder / "rl.yaml"), "seeds": [0]},
        "evaluation": {"suite": str(folder / "suite.yaml"), "samples_before": 8, "samples_after": 4},
        "candidates": [{"base": "weak", "no_sft": True}],
        "launch": {"threads": 1, "time_limits": {"rl": 4}},
        "programs": {**dict.fromkeys(("base", "evaluate"), str(STAND_IN)), "rl": str(folder / "faulty.py")},
    }
    (folder / "plan.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def table_of(work: Path) -> pl.DataFrame:
    frame = pl.read_parquet(work / "corpus.parquet")
    return frame.select(name for name in frame.columns if not name.startswith("cost_"))


def outcome(trial: Trial, undisturbed: Path) -> str:
    """Give the command again, and say what came of it."""
    code = trial.run("--retry-failed")
    if code:
        return f"**exit {code}: {trial.words()}**"
    if not table_of(trial.work).equals(table_of(undisturbed)):
        return "**another table**"
    done = Counter(attempt.stage for attempt in read_ledger(trial.work / "ledger.jsonl") if attempt.status == "done")
    twice = [stage for stage, times in done.items() if times > 1]
    return f"**done twice: {', '.join(twice)}**" if twice else "same table, each stage once"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="faults whose words contain this")
    wanted = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory(prefix="quagpredict-faults-") as name:
        folder = Path(name)
        write_plan(folder)
        undisturbed = Trial(folder, "undisturbed")
        assert undisturbed.run() == 0, undisturbed.said.read_text()
        print("| what befell it | exit | what it said | the same command again |\n| --- | --- | --- | --- |")
        for number, (what, small, do) in enumerate(FAULTS):
            if wanted.only not in what:
                continue
            trial = Trial(folder, f"trial-{number}")
            with small_disk(trial.work) if small else contextlib.nullcontext():
                code, said = do(trial), trial.words()
                came = outcome(trial, undisturbed.work)
            bad += came.startswith("**") or "Traceback" in said
            print(f"| {what} | {code} | {said} | {came} |", flush=True)
    return bad


if __name__ == "__main__":
    sys.exit(main())
