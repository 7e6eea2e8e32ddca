"""Property tests are judged by what they find, not by how busy the machine is; plans of stand-ins are for all tests."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pytest
import yaml
from hypothesis import settings

settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")

STAND_IN = Path(__file__).with_name("unit") / "collection" / "stand_in.py"
SUITE = """\
name: tiny
benchmarks: [{name: b, lab: {problems: 2, data: {operators: "+-", lengths: [1, 1]}}}]
sampling: {max_new_tokens: 8}
"""
GRID = {"data": "broad", "unique_examples": 16, "epochs": [1, 2, 3], "learning_rate": 1e-3, "seed": 0}
RACE: dict[str, Any] = {"rl_steps": 16, "rungs": [2, 4], "measure_cost": 0.5, "prior": "none"}


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
            "programs": dict.fromkeys(("base", "sft", "rl", "evaluate"), str(STAND_IN)),
        }
        path = tmp_path / "plan.yaml"
        path.write_text(yaml.safe_dump({**content, **changes}, sort_keys=False))
        return path

    return write


@pytest.fixture(scope="session")
def without_costs() -> Callable[[Path], pl.DataFrame]:
    """Return the table of a work folder without what depends on the machine that made it."""

    def read(work: Path) -> pl.DataFrame:
        frame = pl.read_parquet(work / "corpus.parquet")
        return frame.select(name for name in frame.columns if not name.startswith("cost_"))

    return read


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
