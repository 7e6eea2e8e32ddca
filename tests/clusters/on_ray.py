"""A plan, and an engine, on a Ray cluster of two nodes on this machine, one of which is killed: `make test-ray`.

What every launcher promises is tested by ``tests/unit/collection/test_launch.py``, which runs on Ray beside this file.
"""

import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from quagpredict.collection import collect
from quagpredict.collection.launch import Ended, Resources, Setting
from quagpredict.collection.ledger import read_ledger
from quagpredict.collection.ray_launcher import RayLauncher
from quagpredict.engines.contract import Request, Sampling
from quagpredict.engines.table import load_engine
from quagpredict.shipped import shipped_path

STAND_IN = str(Path(__file__).parents[1] / "unit" / "collection" / "stand_in.py")
WITHOUT_GPUS = {role: {"gpus": 0} for role in ("base", "sft", "rl", "evaluate")}  # else each takes one of the two


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without room for stages, which nobody kills, and a node with two processors and two (pretended) GPUs."""
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "300")  # read when it is imported
    import ray
    from ray.cluster_utils import Cluster

    size = {"object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **size})
    try:
        cluster.add_node(num_cpus=2, num_gpus=2, **size)
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


def programs_of(node: Any) -> list[int]:
    """Return the processes of stages that run on a node: its raylet's descendants that run the stand-in."""
    parents: dict[int, int] = {}
    stand_ins = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if STAND_IN in (folder / "cmdline").read_text():
                stand_ins.add(int(folder.name))
    found = {process.process.pid for process in node.all_processes["raylet"]}
    while added := {child for child, parent in parents.items() if parent in found} - found:
        found |= added
    return sorted(found & stand_ins)


def wait_for_end(launcher: RayLauncher, count: int = 1) -> list[Ended]:
    ended: list[Ended] = []
    until = time.monotonic() + 120
    while len(ended) < count:
        assert time.monotonic() < until
        ended += launcher.ended(1)
    return sorted(ended)


def test_a_program_sees_the_gpus_that_it_asked_for(cluster: Any, tmp_path: Path) -> None:
    program = (
        "import os, time; a = time.time(); time.sleep(1); print(os.environ['CUDA_VISIBLE_DEVICES'], a, time.time())"
    )
    asked = {"none": 0.0, "first half": 0.5, "second half": 0.5, "one": 1.0, "two": 2.0}
    with closing(RayLauncher(Setting({**os.environ, "CUDA_VISIBLE_DEVICES": "7"}, tmp_path))) as launcher:
        for name, gpus in asked.items():
            launcher.start(name, [sys.executable, "-c", program], tmp_path / f"{name}.log", Resources(1, gpus))
        assert wait_for_end(launcher, len(asked)) == [Ended(name, 0) for name in sorted(asked)]
        launcher.start("many", [sys.executable, "-c", program], tmp_path / "many.log", Resources(1, 3))
        assert set(launcher.waiting()) == {"many"}
        launcher.kill("many")
        assert wait_for_end(launcher) == [Ended("many", -9)]
    said = {name: (tmp_path / f"{name}.log").read_text().rstrip("\n").split(" ") for name in asked}
    seen = {name: {*words[0].split(",")} - {""} for name, words in said.items()}
    assert {name: len(ids) for name, ids in seen.items()} == {name: math.ceil(gpus) for name, gpus in asked.items()}
    assert set.union(*seen.values()) == {"0", "1"}
    # Ray may give the halves one GPU or two: never is more of one in use than there is.
    for moment in (float(words[1]) for words in said.values()):
        running = [name for name, words in said.items() if float(words[1]) <= moment < float(words[2])]
        for gpu in ("0", "1"):
            assert sum(min(asked[name], 1.0) for name in running if gpu in seen[name]) <= 1.0
    note = (tmp_path / "many.log").read_text()
    assert note == "note: no machine of the cluster has 1 CPU, 3 GPU: it waits until one joins\n"


def test_a_plan_of_which_a_node_is_killed_gives_the_same_corpus(
    write_plan: Callable[..., Path],
    without_costs: Callable[[Path], pl.DataFrame],
    cluster: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan = write_plan(launch={"threads": 1, "resources": WITHOUT_GPUS})  # as on SLURM, tests/clusters/slurm.py
    monkeypatch.setenv("STAND_IN_SECONDS", "1.5")
    began = time.monotonic()
    assert not collect(plan, tmp_path / "here", workers=4).failed
    locally = time.monotonic() - began
    doomed = cluster.add_node(num_cpus=2, object_store_memory=80 * 2**20)
    killed: list[str] = []

    def kill_the_node(running: dict[str, Path]) -> None:
        begun = len(read_ledger(tmp_path / "on-ray" / "ledger.jsonl")) > 4
        if begun and not killed and programs_of(doomed):
            killed.extend(running)
            cluster.remove_node(doomed, allow_graceful=False)

    began = time.monotonic()
    summary = collect(plan, tmp_path / "on-ray", workers=4, launcher="ray", watch=kill_the_node)
    with capsys.disabled():
        print(f"\nlocally {locally:.1f} s, on Ray with a node lost {time.monotonic() - began:.1f} s")
    assert killed, "no stage ever ran on that node"
    assert not summary.failed
    assert without_costs(tmp_path / "on-ray").equals(without_costs(tmp_path / "here"))
    assert "lost with its machine, started again" in capsys.readouterr().err
    attempts = read_ledger(tmp_path / "on-ray" / "ledger.jsonl")
    assert {attempt.status for attempt in attempts} == {"done"}
    assert sorted(attempt.stage for attempt in attempts) == sorted({attempt.stage for attempt in attempts})


def test_a_race_takes_the_decisions_that_it_takes_here(
    write_race: Callable[..., Path],
    without_costs: Callable[[Path], pl.DataFrame],
    cluster: Any,
    tmp_path: Path,
) -> None:
    plan = write_race(launch={"threads": 1, "resources": WITHOUT_GPUS})
    for work, options in {"here": {}, "on-ray": {"launcher": "ray"}}.items():
        assert not collect(plan, tmp_path / work, workers=2, **options).failed
    here, on_ray = (
        {one.stage: one.record for one in read_ledger(tmp_path / work / "ledger.jsonl")} for work in ("here", "on-ray")
    )
    races = [stage for stage in here if stage.startswith("race/")]
    assert len(races) > 1
    assert here.keys() == on_ray.keys()
    assert [here[race].results for race in races] == [on_ray[race].results for race in races]
    assert without_costs(tmp_path / "on-ray").equals(without_costs(tmp_path / "here"))


def test_replicas_on_actors_draw_what_one_engine_draws_and_one_may_die(cluster: Any) -> None:
    import ray

    checkpoint = shipped_path("datasets/lab-pilot/bases/weak")
    sampling = Sampling(max_new_tokens=12, temperature=2.0)

    def asked(engine: Any) -> list[Request]:
        return [Request(prompt, engine.encode_prompt(prompt), 0, 100) for prompt in ("12+5=", "3*4=", "9-8=", "7")]

    with closing(load_engine("transformers", checkpoint)) as engine:
        expected = dict(engine.generate(asked(engine), sampling))
        pair = (engine.encode_prompt("1+1="), expected[0][0].tokens)
        (score,) = engine.completion_log_probs([pair])
    with closing(load_engine("transformers", checkpoint, workers=2, ray="auto", batch_size=16)) as engine:
        drawing = engine.generate(asked(engine), sampling)
        drawn = dict([next(drawing)])
        ray.kill(engine._workers[0]._handle)  # type: ignore[attr-defined]
        drawn |= dict(drawing)
        (other,) = engine.completion_log_probs([pair])
    tokens: Callable[[Any], Any] = lambda found: {at: [one.tokens for one in some] for at, some in found.items()}  # noqa: E731
    assert tokens(drawn) == tokens(expected)
    assert other == pytest.approx(score, abs=1e-5)
