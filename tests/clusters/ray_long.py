"""What takes longer on Ray: kills of `collect` and of the head, `accelerate launch`, a search. `.ci/long` runs it.

`make test-ray TESTS=tests/clusters/ray_long.py`.
"""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from quagpredict.collection import collect
from quagpredict.collection.ledger import read_ledger
from quagpredict.mixture_search import search
from quagpredict.shipped import shipped_path

QUAGPREDICT = [sys.executable, "-c", "import sys; from quagpredict.cli import main; sys.exit(main(sys.argv[1:]))"]
SIZE = {"num_cpus": 2, "include_dashboard": False, "object_store_memory": 80 * 2**20}
# Two processes of one machine. accelerate starts several on CPUs by MPI alone, and by torchrun what it takes for GPUs;
# the lab's recipes say use_cpu, and then they talk by gloo.
TWO_PROCESSES = {
    "compute_environment": "LOCAL_MACHINE",
    "distributed_type": "MULTI_GPU",
    "num_machines": 1,
    "num_processes": 2,
    "machine_rank": 0,
    "main_process_ip": "127.0.0.1",
    "main_process_port": 29561,
    "mixed_precision": "no",
    "use_cpu": False,
}


@contextmanager
def cluster() -> Iterator[Any]:
    """A cluster of one node, its head, which this process does not join."""
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "300")  # read when it is imported
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args=SIZE)
    try:
        yield made
    finally:
        made.shutdown()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with cluster() as made:
        yield made.address


@pytest.fixture
def plan(write_plan: Callable[..., Path]) -> Path:
    return write_plan(launch={"threads": 1})


def start(plan: Path, work: Path, address: str, seconds: str) -> subprocess.Popen[bytes]:
    words = ["collect", str(plan), "--out", str(work), "--launcher", "ray", "--address", address, "--workers", "2"]
    with work.with_name("said.txt").open("ab") as said:
        environment = {**os.environ, "STAND_IN_SECONDS": seconds}
        return subprocess.Popen([*QUAGPREDICT, *words], env=environment, stderr=said)


def wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 240
    while not true():
        assert time.monotonic() < until
        time.sleep(0.1)


def stages_running(work: Path) -> list[int]:
    """The processes of stand-ins that work in a folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_text().split("\0")
        except OSError:
            continue
        if any(word.endswith("stand_in.py") for word in words) and any(str(work) in word for word in words):
            found.append(int(folder.name))
    return found


def check(work: Path, undisturbed: Path, without_costs: Callable[[Path], pl.DataFrame]) -> None:
    assert without_costs(work).equals(without_costs(undisturbed))
    attempts = read_ledger(work / "ledger.jsonl")
    assert {attempt.status for attempt in attempts} == {"done"}
    assert max(Counter(attempt.stage for attempt in attempts).values()) == 1


def test_collect_is_killed_its_tasks_end_and_the_same_command_resumes(
    plan: Path, address: str, tmp_path: Path, without_costs: Callable[[Path], pl.DataFrame]
) -> None:
    assert not collect(plan, tmp_path / "here").failed
    work = tmp_path / "work"
    process = start(plan, work, address, "600")
    wait_until(lambda: stages_running(work) != [])
    process.kill()
    process.wait()
    wait_until(lambda: stages_running(work) == [])  # nothing that it started outlives it
    assert start(plan, work, address, "0").wait(300) == 0
    check(work, tmp_path / "here", without_costs)


def test_the_head_is_killed_and_the_same_command_resumes_on_another_cluster(
    plan: Path, tmp_path: Path, without_costs: Callable[[Path], pl.DataFrame]
) -> None:
    assert not collect(plan, tmp_path / "here").failed
    work = tmp_path / "work"
    with cluster() as made:
        process = start(plan, work, made.address, "3")
        wait_until(lambda: (work / "stages/base/weak").exists() and stages_running(work) != [])
        for kind in ("gcs_server", "raylet"):
            for one in made.head_node.all_processes[kind]:
                os.kill(one.process.pid, signal.SIGKILL)
        assert process.wait(300) == 1  # Ray ends the process: nothing here can catch it
        assert "Failed to connect to GCS" in work.with_name("said.txt").read_text()
        wait_until(lambda: stages_running(work) == [])
    with cluster() as made:
        assert start(plan, work, made.address, "0").wait(300) == 0
    check(work, tmp_path / "here", without_costs)


def lab(file: str, **changes: Any) -> dict[str, Any]:
    """A recipe of the lab, small enough for a test."""
    return {**yaml.safe_load(shipped_path(f"training/recipes/lab/{file}.yaml").read_text()), **changes}


def test_accelerate_launches_two_processes_inside_one_task(
    write_plan: Callable[..., Path], address: str, tmp_path: Path
) -> None:
    mixture = {"operators": "+-", "lengths": [1, 2]}
    (tmp_path / "two.yaml").write_text(yaml.safe_dump(TWO_PROCESSES))
    (tmp_path / "sft.yaml").write_text(yaml.safe_dump(lab("sft", per_device_train_batch_size=4, logging_steps=1)))
    steps = {"max_steps": 2, "per_device_train_batch_size": 16, "lab_prompts": 64, "drawn_at_once": 8}
    (tmp_path / "rl.yaml").write_text(yaml.safe_dump(lab("grpo", **steps)))
    entry = {"base": "weak", "data": "broad", "unique_examples": 32, "epochs": 1, "learning_rate": 1e-3, "seed": 0}
    (tmp_path / "ranks").mkdir()
    programs = {"evaluate": str(Path(__file__).parents[1] / "unit/collection/stand_in.py")}
    for role, kind in (("sft", "sft"), ("rl", "grpo")):  # the real program, whose processes say who they are
        programs[role] = str(tmp_path / f"{kind}.py")
        real = str(shipped_path(f"training/train_{kind}.py"))
        Path(programs[role]).write_text(
            "import os, runpy\n"
            f"name = '{tmp_path}/ranks/{kind}-' + os.environ['RANK'] + '-of-' + os.environ['WORLD_SIZE']\n"
            "open(name, 'w').close()\n"
            f"runpy.run_path({real!r}, run_name='__main__')\n"
        )
    plan = write_plan(
        bases={"weak": {"family": "qwen3", "model_name_or_path": str(shipped_path("datasets/lab-pilot/bases/weak"))}},
        data={"broad": {"lab_data": mixture}},
        candidates=[{**entry, "scenario": "dataset-level"}],
        launch={
            "threads": 1,
            "accelerate": dict.fromkeys(("sft", "rl"), str(tmp_path / "two.yaml")),
            "resources": {role: {"gpus": 0} for role in ("sft", "rl")},  # else as many as there are processes
        },
        programs=programs,
    )
    work = tmp_path / "work"
    summary = collect(plan, work, launcher="ray", address=address)
    assert not summary.failed, "\n".join((work / one.log).read_text()[-3000:] for one in summary.failed)
    done = {attempt.stage.partition("/")[0]: attempt for attempt in read_ledger(work / "ledger.jsonl")}
    assert done.keys() == {"sft", "grpo", "evaluate-pre", "evaluate-post"}
    took_part = {f"{kind}-{rank}-of-2" for kind in ("sft", "grpo") for rank in (0, 1)}
    assert {path.name for path in (tmp_path / "ranks").iterdir()} == took_part


def test_a_search_on_ray_finds_what_it_finds_here(address: str, tmp_path: Path) -> None:
    space = yaml.safe_load(shipped_path("collectors/searches/lab-mixture.yaml").read_text())
    space |= {"budget": {"examples": 64}, "epochs": [1, 2], "evaluation": {**space["evaluation"], "samples": 64}}
    space |= {"launch": {"mode": "fork", "threads": 1, "options": {"ray": {"fork": True}}}}
    for key in ("rungs", "rl"):
        space.pop(key, None)
    (tmp_path / "space.yaml").write_text(yaml.safe_dump(space))
    tables = []
    for name, how in {"here": {}, "on-ray": {"launcher": "ray", "address": address, "workers": 2}}.items():
        outcome = search(
            tmp_path / "space.yaml", tmp_path / name, trials=2, method="random", allow_mixed_protocols=True, **how
        )
        table = pl.read_parquet(tmp_path / name / "corpus.parquet").sort("recipe_id")
        tables.append(table.select(column for column in table.columns if not column.startswith("cost_")))
        assert [trial.state.name for trial in outcome.searches[-1].study.trials] == ["COMPLETE", "COMPLETE"]
    assert tables[0].equals(tables[1])
