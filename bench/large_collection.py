"""What a collection of many candidates takes to open, and for a stage: `large_collection.py FOLDER CANDIDATES [KIND]`.

SFT of all candidates is done; 200 of them are measured by a program that takes no time, in this process. With the kind
``race`` RL of all candidates may follow, as a race decides. With ``records`` weights of most are elsewhere, as after
`collect --records`, and what is timed is how stages are taken in that end, and nothing else of them.
"""

import contextlib
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from timing import peak_gib

from quagpredict.collection import carrying_out, collect
from quagpredict.collection.launch import Ended
from quagpredict.collection.ledger import Attempt
from quagpredict.collection.stages import stages_of
from quagpredict.collection.standing import Standing
from quagpredict.collection.work_folder import WorkFolder
from quagpredict.files import canonical_json
from quagpredict.parquet import write_parquet
from quagpredict.plans.plan import Plan
from quagpredict.run_record import RunRecord

STAGES = 200
SUITE = """\
name: tiny
benchmarks: [{name: b, lab: {problems: 2, data: {operators: "+-", lengths: [1, 1]}}}]
sampling: {max_new_tokens: 8}
"""
MEASURED = {"eval_protocol_id": "p", "measurement": {"pass_at_1": 0.2, "problems_count": 2}}


class EnoughError(BaseException):
    """Ends the collection: so many stages were started."""


class Inline:
    """A launcher whose stages end at once, and which notes the processor time at each start."""

    def __init__(self, problems: Path) -> None:
        self.started: list[float] = []
        self._problems = problems
        self._ended: list[Ended] = []

    def wait_until_ready(self) -> None:
        """Return."""

    def still_running(self) -> tuple[str, ...]:
        """Return nothing."""
        return ()

    def waiting(self) -> tuple[str, ...]:
        """Return nothing."""
        return ()

    def start(self, name: str, command: list[str], *_: object) -> None:
        """Leave what an evaluation leaves."""
        self.started.append(time.process_time())
        if len(self.started) > STAGES:
            raise EnoughError
        folder = Path(yaml.safe_load(Path(command[-1]).read_text())["output_dir"])
        os.link(self._problems, folder / "problems.parquet")
        (folder / "record.json").write_text(json.dumps(RunRecord("evaluate", MEASURED, 1.0).as_dict()))
        self._ended.append(Ended(name, 0))

    def ended(self, **_: object) -> list[Ended]:
        """Return those that were started."""
        ended, self._ended = self._ended, []
        return ended

    def close(self) -> None:
        """Return."""


def write_plan(folder: Path, candidates: int, kind: str) -> Path:
    """Write a plan of so many SFT candidates; without RL, unless it is a race."""
    texts = {"sft.yaml": "max_length: 64", "rl.yaml": "max_steps: 100", "suite.yaml": SUITE, "program.py": ""}
    for name, text in texts.items():
        (folder / name).write_text(text)
    grid = {"unique_examples": 16, "epochs": 1, "learning_rate": 1e-3, "seed": list(range(candidates))}
    grid |= {"rl_seeds": [0] if kind == "race" else []}
    plan: dict[str, Any] = {
        "name": "large",
        "bases": {"weak": {"family": "qwen3", "model_name_or_path": "org/model"}},
        "data": {"broad": {"lab_data": {"lengths": [1, 6]}}},
        "sft": {"recipe": str(folder / "sft.yaml")},
        "evaluation": {"suite": str(folder / "suite.yaml"), "samples_before": 8},
        "candidates": [{"base": "weak", "data": "broad", "scenario": "dataset-level", **grid}],
        "programs": dict.fromkeys(("sft", "evaluate", "rl"), str(folder / "program.py")),
    }
    if kind == "race":
        plan |= {"rl": {"recipe": str(folder / "rl.yaml")}, "race": {"rl_steps": 1000, "rungs": [10, 25, 50]}}
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan))
    return folder / "plan.yaml"


def train_all(plan: Path, work: WorkFolder) -> None:
    """Leave what a collection leaves that has trained every candidate."""
    work.logs.mkdir(parents=True)
    trained = RunRecord("sft", {}, 1.0, outputs={"model.safetensors": "0" * 64})
    with work.ledger.open("w") as ledger:
        for stage in stages_of(Plan.from_yaml(plan)):
            if stage.kind == "sft":
                folder = work.stage(stage.id)
                folder.mkdir(parents=True)
                (folder / "model.safetensors").touch()
                (folder / "record.json").write_text(json.dumps(trained.as_dict()))
                (work.logs / f"sft-{stage.name}-1.yaml").touch()
                log, began = f"logs/sft-{stage.name}-1.log", "2026-01-01T00:00:00+00:00"
                attempt = Attempt(stage.key, stage.id, "done", trained, log, began, 1.0, work.given(stage), 0)
                ledger.write(canonical_json(asdict(attempt)) + "\n")


def without_weights(plan: Path) -> dict[str, float]:
    """Return what it takes to know where stages stand, and to take in one that ended; all but `STAGES` are measured."""
    stages = stages_of(Plan.from_yaml(plan))
    last = {stage.candidate for stage in stages[-2 * STAGES :]}
    ended = [Attempt(stage.key, stage.id, "done", None, "", "", 1.0) for stage in stages]
    held = [one for one, stage in zip(ended, stages, strict=True) if stage.kind == "sft" or stage.candidate not in last]
    gone = {stage.id for stage in stages if stage.kind == "sft" and stage.candidate not in last}
    new = [one for one, stage in zip(ended, stages, strict=True) if stage.kind != "sft" and stage.candidate in last]
    began = time.process_time()
    stand = Standing(stages, held, gone)
    opened = time.process_time()
    for one in new:
        stand.learn(one)
    taken = {"opening": opened - began, "a_stage": (time.process_time() - opened) / len(new)}
    assert stand.count["done"] == len(stages)
    return taken


def main(folder: Path, candidates: int, kind: str = "") -> None:
    """Print what it took, in seconds of processor time, and the memory, as JSON."""
    plan, work = write_plan(folder, candidates, kind), folder / "work"
    problems = folder / "problems.parquet"
    if kind == "records":
        taken = without_weights(plan)
    else:
        write_parquet(
            pl.DataFrame({"benchmark": ["b"] * 2, "problem_id": ["p", "q"], "n": [8, 8], "c": [1, 2]}), problems
        )
        train_all(plan, WorkFolder(work))
        taken = run(plan, work, problems)
    print(json.dumps({**taken, "gib": peak_gib()}))


def run(plan: Path, work: Path, problems: Path) -> dict[str, float]:
    """Return what it takes to open a collection, and to run a stage of it."""
    launcher = Inline(problems)
    carrying_out.launcher_of = lambda *_: launcher
    began = time.process_time()
    with contextlib.suppress(EnoughError), Path(os.devnull).open("w") as said, contextlib.redirect_stderr(said):
        collect(plan, work)
    started = launcher.started
    return {"opening": started[0] - began, "a_stage": (started[-1] - started[0]) / STAGES}


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
