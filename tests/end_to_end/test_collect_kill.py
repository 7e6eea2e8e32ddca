"""A collection that is killed with SIGKILL, again and again, ends with the table of one that nobody disturbed."""

import contextlib
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from quagpredict.collection.ledger import read_ledger
from quagpredict.collection.stages import stages_of
from quagpredict.plans.plan import Plan
from quagpredict.shipped import shipped_path

STAND_IN = Path(__file__).parents[1] / "unit" / "collection" / "stand_in.py"
GRID = "unique_examples: 32, epochs: [1, 2], learning_rate: 1.0e-3, seed: 0, scenario: dataset-level"


class Zygote:
    """Runs `quagpredict` in forks of one process that has imported it; what is killed is always a whole `collect`."""

    def __init__(self, log: Path, **environment: str) -> None:
        command = [sys.executable, str(Path(__file__).with_name("collect_zygote.py"))]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1", **environment}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        self._log = log

    def start(self, plan: Path, work: Path, *options: str, **how: Any) -> int:
        assert self._process.stdin is not None
        words = ["collect", str(plan), "--out", str(work), *options]
        request = {"words": words, "log": str(self._log), "folder": str(work), **how}
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        return int(self._said()["pid"])

    def wait(self) -> int:
        return int(self._said()["code"])

    def run(self, plan: Path, work: Path, *options: str, **how: Any) -> int:
        self.start(plan, work, *options, **how)
        return self.wait()

    def changes(self) -> int:
        """How often the last call that ended by itself changed what is on the disk in its work folder."""
        return int(self._log.with_name(self._log.name + ".changes").read_text())

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()

    def _said(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


@pytest.fixture
def start_zygote(tmp_path: Path) -> Iterator[Callable[..., Zygote]]:
    started: list[Zygote] = []

    def start(**environment: str) -> Zygote:
        started.append(Zygote(tmp_path / "said.log", **environment))
        return started[-1]

    yield start
    for zygote in started:
        zygote.close()


def write_plan(
    folder: Path, *, candidates: str, programs: str = "", rl: str, sft: str, suite: str, pretrain: str
) -> Path:
    for name, text in {"rl": rl, "sft": sft, "suite": suite}.items():
        (folder / f"{name}.yaml").write_text(text)
    path = folder / "plan.yaml"
    path.write_text(
        f"""
name: tiny
bases: {{weak: {{family: qwen3, pretrain: {pretrain}}}}}
data: {{broad: {{lab_data: {{operators: "+-", lengths: [1, 2]}}}}}}
sft: {{recipe: {folder}/sft.yaml}}
rl: {{recipe: {folder}/rl.yaml, seeds: [0]}}
evaluation: {{suite: {folder}/suite.yaml, samples_before: 8, samples_after: 4}}
candidates: [{candidates}]
held_out: ["*.no-sft"]
launch: {{mode: fork, threads: 1}}
programs: {{{programs}}}
"""
    )
    return path


def write_stand_in_plan(folder: Path, candidates: str) -> Path:
    programs = ", ".join(f"{role}: {STAND_IN}" for role in ("base", "sft", "rl", "evaluate"))
    parts = {"rl": "max_steps: 7", "sft": "max_length: 64", "suite": "name: tiny", "pretrain": "{steps: 5}"}
    return write_plan(folder, candidates=candidates, programs=programs, **parts)


def comparable(work: Path) -> list[dict[str, Any]]:
    """Return all rows of the corpus without what a clock says."""
    frame = pl.read_parquet(work / "corpus.parquet")
    return frame.select(name for name in frame.columns if not name.startswith("cost_")).to_dicts()


def assert_same_collection(plan: Path, work: Path, undisturbed: Path, kills: int, workers: int = 1) -> None:
    """Compare the tables; nothing was done twice, and each kill repeated no more than the stages that were running."""
    assert comparable(work) == comparable(undisturbed)
    attempts = read_ledger(work / "ledger.jsonl")
    assert {attempt.status for attempt in attempts} == {"done"}
    stages = [stage.id for stage in stages_of(Plan.from_yaml(plan))]
    assert Counter(attempt.stage for attempt in attempts) == Counter(stages)
    assert len(list((work / "logs").glob("*.yaml"))) <= len(stages) + kills * workers
    assert sorted(f"{folder.parent.name}/{folder.name}" for folder in (work / "stages").glob("*/*")) == sorted(stages)
    for row in comparable(undisturbed):
        alone = pl.read_parquet(work / "candidates" / f"{row['candidate']}.parquet")
        assert [entry for entry in alone.to_dicts() if entry["candidate"] != row["candidate"]] == []
        assert alone["post_pass_at_1"].to_list() == [row["post_pass_at_1"]]


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def kill_at_random(
    zygote: Zygote,
    plan: Path,
    folder: Path,
    undisturbed: Path,
    kills: int,
    longest: float,
    *options: str,
    workers: int = 1,
) -> int:
    """Kill collections at random moments, `kills` times in all; return how many collections that took.

    One that is finished before its last kill is compared, and the next begins in a new folder.
    """
    chance = random.Random(20251004)
    made = 0
    done = 0
    options = ("--workers", str(workers), *options)
    while done < kills:
        work = folder / f"disturbed-{made}"
        made += 1
        before = done
        while done < kills:
            process = zygote.start(plan, work, *options)
            until = time.monotonic() + chance.uniform(0, longest)
            while time.monotonic() < until and is_running(process):
                time.sleep(0.001)
            if is_running(process):
                os.kill(process, signal.SIGKILL)
            code = zygote.wait()
            assert code in (0, -signal.SIGKILL)
            if code == 0:
                break
            done += 1
        assert zygote.run(plan, work, *options) == 0
        assert_same_collection(plan, work, undisturbed, done - before, workers)
    return made


def test_killed_before_any_single_change_on_the_disk(tmp_path: Path, start_zygote: Callable[..., Zygote]) -> None:
    """Each moment at which the work folder changes, one collection each: its beginning, and a run up to the table."""
    plan = write_stand_in_plan(tmp_path, "{base: weak, no_sft: true}")
    text = plan.read_text()
    zygote = start_zygote()
    undisturbed, begun = tmp_path / "undisturbed", tmp_path / "begun"
    plan.write_text(text.replace("no_sft: true", "no_sft: true, rl_seeds: []"))
    assert zygote.run(plan, begun, inline=True) == 0
    plan.write_text(text)
    shutil.copytree(begun, undisturbed)
    assert zygote.run(plan, undisturbed, inline=True) == 0
    changes = zygote.changes()
    assert changes > 20
    moments = [(None, moment) for moment in range(1, 9)] + [(begun, moment) for moment in range(1, changes + 1)]
    for start, moment in moments:
        work = tmp_path / f"killed-{start is None}-{moment}"
        if start is not None:
            shutil.copytree(start, work)
        assert zygote.run(plan, work, inline=True, die_at=moment) == -signal.SIGKILL
        assert zygote.run(plan, work, inline=True) == 0
        assert_same_collection(plan, work, undisturbed, kills=1)


def test_fifty_kills_of_stand_in_programs(tmp_path: Path, start_zygote: Callable[..., Zygote]) -> None:
    plan = write_stand_in_plan(tmp_path, f"{{base: weak, data: broad, {GRID}}}, {{base: weak, no_sft: true}}")
    zygote = start_zygote(STAND_IN_SECONDS="0.1")
    undisturbed = tmp_path / "undisturbed"
    assert zygote.run(plan, undisturbed) == 0
    seconds = [attempt.seconds for attempt in read_ledger(undisturbed / "ledger.jsonl")]
    kill_at_random(zygote, plan, tmp_path, undisturbed, 50, 2.5 * statistics.mean(seconds), workers=2)


def descendants(process: int) -> list[int]:
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    found: set[int] = set()
    while added := {child for child, parent in parents.items() if parent in found | {process}} - found:
        found |= added
    return sorted(found)


def test_kills_of_stages_and_of_the_server_that_starts_them(
    tmp_path: Path, start_zygote: Callable[..., Zygote]
) -> None:
    """Whatever `collect` has started is killed: a stage has failed then, a server is started again."""
    plan = write_stand_in_plan(tmp_path, f"{{base: weak, data: broad, {GRID}}}, {{base: weak, no_sft: true}}")
    zygote = start_zygote(STAND_IN_SECONDS="0.1")
    undisturbed = tmp_path / "undisturbed"
    assert zygote.run(plan, undisturbed) == 0
    stages = Counter(attempt.stage for attempt in read_ledger(undisturbed / "ledger.jsonl"))
    chance = random.Random(20261127)
    killed = {"stage": 0, "server": 0}
    begun = 0
    while min(killed.values()) < 5:
        work = tmp_path / f"disturbed-{begun}"
        begun += 1
        code = None
        while code != 0:
            process = zygote.start(plan, work, "--workers", "2", "--retry-failed")
            until = time.monotonic() + chance.uniform(0.1, 1.0)
            while is_running(process):
                time.sleep(0.01)
                servers = [child for child in descendants(process) if parent_of(child) == process]
                stages_now = [child for child in descendants(process) if child not in servers]
                if time.monotonic() > until and servers and stages_now:
                    kind = min(killed, key=killed.__getitem__)
                    with contextlib.suppress(ProcessLookupError):  # it has ended just now
                        os.kill(chance.choice(servers if kind == "server" else stages_now), signal.SIGKILL)
                        killed[kind] += 1
                    until = time.monotonic() + chance.uniform(0.2, 2.0)
            code = zygote.wait()
            assert code in (0, 1)
        assert comparable(work) == comparable(undisturbed)
        attempts = read_ledger(work / "ledger.jsonl")
        assert Counter(attempt.stage for attempt in attempts if attempt.status == "done") == stages
        assert {attempt.exit_code for attempt in attempts if attempt.status == "failed"} <= {-signal.SIGKILL}


def parent_of(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


LAB_SUITE = """
name: tiny
benchmarks: [{name: plain, level: 1, lab: {problems: 6, seed: 101, data: {operators: "+-", lengths: [1, 2]}}}]
held_out: {lab: {problems: 8, seed: 104, data: {operators: "+-", lengths: [1, 2]}}}
sampling: {temperature: 1.0, top_p: 1.0, top_k: 0, max_new_tokens: 14}
grading: {extraction: last_digits, symbolic: false}
"""


def test_twenty_kills_of_a_real_collection(tmp_path: Path, start_zygote: Callable[..., Zygote]) -> None:
    """The lab's own programs, tiny: pre-training, SFT, GRPO and evaluation with torch, transformers and TRL.

    The undisturbed collection has a fork server of its own. The killed ones share one that outlives them, because the
    imports that each would make again take longer than all stages together; it kills what a killed collection leaves.
    """
    grpo = shipped_path("training/recipes/lab/grpo.yaml").read_text()
    changes = {"max_steps": 1, "per_device_train_batch_size": 16, "lab_prompts": 64, "logging_steps": 1}
    lines = [line for line in grpo.splitlines() if line.partition(":")[0] not in changes]
    plan = write_plan(
        tmp_path,
        candidates=f"{{base: weak, data: broad, {GRID}}}, {{base: weak, no_sft: true}}",
        rl="\n".join([*lines, *(f"{key}: {value}" for key, value in changes.items())]),
        sft=shipped_path("training/recipes/lab/sft.yaml").read_text(),
        suite=LAB_SUITE,
        pretrain='{steps: 2, seed: 1, warmup_steps: 1, lab_data: {operators: "+-", lengths: [1, 2]}}',
    )
    zygote = start_zygote()
    undisturbed = tmp_path / "undisturbed"
    assert zygote.run(plan, undisturbed) == 0
    longest = 2.5 * statistics.mean(attempt.seconds for attempt in read_ledger(undisturbed / "ledger.jsonl"))

    path = tmp_path / "socket"
    command = [sys.executable, "-u", "-P", "-m", "quagpredict.collection.supervisor", "--listen", str(path)]
    for program in dict.fromkeys(Plan.from_yaml(plan).programs.values()):
        command += ["--preload", str(shipped_path(program))]
    names = ("OMP_NUM_THREADS", "POLARS_MAX_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, "1"), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    with subprocess.Popen(command, env=environment) as server:
        try:
            while not path.exists():
                assert server.poll() is None
                time.sleep(0.05)
            kill_at_random(zygote, plan, tmp_path, undisturbed, 20, longest, "--fork-server", str(path))
        finally:
            server.kill()
