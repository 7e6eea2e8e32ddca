import os
import runpy
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pytest
import yaml

from quagpredict.collection import carrying_out
from quagpredict.collection.launch import Ended, Resources
from quagpredict.collection.ledger import read_ledger

SUITE = """\
name: tiny
benchmarks: [{name: b, lab: {problems: 2, data: {operators: "+-", lengths: [1, 1]}}}]
sampling: {max_new_tokens: 8}
"""
GRID = {"data": "broad", "unique_examples": 16, "epochs": [1, 2, 3], "learning_rate": 1e-3, "seed": 0}
RACE: dict[str, Any] = {"rl_steps": 16, "rungs": [2, 4], "measure_cost": 0.5, "prior": "none"}
STAND_IN = str(Path(__file__).with_name("stand_in.py"))


@pytest.fixture(scope="module", autouse=True)
def ray_of_this_machine() -> Iterator[None]:
    """Start Ray once for all tests that run on it; they join what this process has joined."""
    if "ray" not in os.environ.get("QUAGPREDICT_LAUNCHERS", "").split():
        yield
        return
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "300")  # read when it is imported
    import ray

    size = {"num_cpus": 4, "object_store_memory": 80 * 2**20}
    ray.init(address="local", log_to_driver=False, logging_level="ERROR", include_dashboard=False, **size)
    yield
    ray.shutdown()


@pytest.fixture
def write_plan(tmp_path: Path) -> Callable[..., Path]:
    """Write a plan whose programs are stand-ins; keyword arguments replace its top-level keys."""

    def write(**changes: Any) -> Path:
        for name, text in {"sft": "max_length: 64", "rl": "max_steps: 7", "suite": SUITE}.items():
            if not (tmp_path / f"{name}.yaml").exists():
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
            "programs": dict.fromkeys(("base", "sft", "rl", "evaluate"), STAND_IN),
        }
        path = tmp_path / "plan.yaml"
        path.write_text(yaml.safe_dump({**content, **changes}, sort_keys=False))
        return path

    return write


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Run the stand-ins in this process, which takes milliseconds where starting processes takes seconds.

    What is returned may be filled with names of stages: each time one of them starts, it is lost with its machine once.
    """
    to_lose: list[str] = []
    stand_in = runpy.run_path(STAND_IN)

    class InlineLauncher:
        def __init__(self, *_: object) -> None:
            self._ended: list[Ended] = []

        def wait_until_ready(self) -> None:
            pass

        def still_running(self) -> tuple[str, ...]:
            return ()

        def start(self, name: str, command: list[str], log: Path, resources: Resources) -> None:
            if name in to_lose:
                to_lose.remove(name)
                self._ended.append(Ended(name, None))
                return
            with log.open("a") as said, redirect_stdout(said), redirect_stderr(said):
                self._ended.append(Ended(name, stand_in["main"](command[2:])))

        def waiting(self) -> list[str]:
            return []

        def ended(self, timeout: float) -> list[Ended]:
            ended, self._ended = self._ended, []
            return ended

        def close(self) -> None:
            pass

    monkeypatch.setattr(carrying_out, "launcher_of", InlineLauncher)
    return to_lose


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Finished runs of two bases to learn from, whose ends are hard to tell."""
    file = tmp_path_factory.mktemp("finished") / "corpus.parquet"
    random = Random(0)
    ends = [sorted(random.uniform(0.1, 0.9) for _ in range(3)) for _ in range(24)]
    curves = [[{"step": s, "pass_at_1": score} for s, score in zip((0, 100, 400), end, strict=True)] for end in ends]
    rows = [{"candidate": f"{i}", "base_model": "ab"[i % 2], "post_curve": curve} for i, curve in enumerate(curves)]
    pl.DataFrame(rows).write_parquet(file)
    return file


@pytest.fixture
def write_race(write_plan: Callable[..., Path], finished: Path) -> Callable[..., Path]:
    """Write a plan that races three runs of 7 steps; keyword arguments replace keys, those of `race` its own."""

    def write(**changes: Any) -> Path:
        race = {**RACE, "learn_from": [str(finished)], **changes.pop("race", {})}
        return write_plan(candidates=[{"base": "weak", **GRID, "scenario": "random"}], race=race, **changes)

    return write


def decisions_in(work: Path) -> list[dict[str, Any]]:
    taken = [attempt for attempt in read_ledger(work / "ledger.jsonl") if attempt.stage.startswith("race/")]
    return [dict(attempt.record.results) for attempt in taken if attempt.record is not None]
