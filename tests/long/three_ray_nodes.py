"""Twenty-four lab runs on a Ray cluster of three nodes, one killed in the middle: the same corpus as on this machine.

`python tests/long/three_ray_nodes.py`. The nodes are those of `ray.cluster_utils.Cluster`, all on this machine. What is
compared is every column but the costs, to the last bit.
"""

import argparse
import contextlib
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from quagpredict.collection import collect
from quagpredict.collection.ledger import read_ledger
from quagpredict.shipped import shipped_path

SUITE = {
    "name": "tiny",
    "benchmarks": [
        {
            "name": "plain",
            "level": 1,
            "lab": {"problems": 6, "seed": 101, "data": {"operators": "+-", "lengths": [1, 2]}},
        }
    ],
    "held_out": {"lab": {"problems": 8, "seed": 104, "data": {"operators": "+-", "lengths": [1, 2]}}},
    "sampling": {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "max_new_tokens": 14},
    "grading": {"extraction": "last_digits", "symbolic": False},
}


def write_plan(folder: Path, steps: int, candidates: int) -> Path:
    """Write a plan of so many SFT runs, each taken through RL with three seeds."""
    grpo = yaml.safe_load(shipped_path("training/recipes/lab/grpo.yaml").read_text())
    grpo |= {"max_steps": steps, "per_device_train_batch_size": 16, "lab_prompts": 64, "logging_steps": 1}
    (folder / "rl.yaml").write_text(yaml.safe_dump(grpo))
    (folder / "suite.yaml").write_text(yaml.safe_dump(SUITE))
    mixture = {"operators": "+-", "lengths": [1, 2]}
    entry = {"base": "weak", "data": "broad", "unique_examples": 32, "epochs": 1, "scenario": "dataset-level"}
    plan = {
        "name": "three-nodes",
        "bases": {
            "weak": {"family": "qwen3", "pretrain": {"steps": 2, "seed": 1, "warmup_steps": 1, "lab_data": mixture}}
        },
        "data": {"broad": {"lab_data": mixture}},
        "sft": {"recipe": "training/recipes/lab/sft.yaml"},
        "rl": {"recipe": str(folder / "rl.yaml"), "seeds": [0, 1, 2]},
        "evaluation": {"suite": str(folder / "suite.yaml"), "samples_before": 8, "samples_after": 4},
        "candidates": [{**entry, "learning_rate": 1e-3, "seed": list(range(candidates))}],
        "launch": {"mode": "fork", "threads": 1, "options": {"ray": {"fork": True}}},
    }
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump(plan, sort_keys=False))
    return path


def forks_of(node: Any) -> list[int]:
    """Return the processes of stages that run on a node: descendants of its raylet that a supervisor has forked."""
    parents: dict[int, int] = {}
    supervisors = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if "quagpredict.collection.supervisor" in (folder / "cmdline").read_text():
                supervisors.add(int(folder.name))
    found = {process.process.pid for process in node.all_processes["raylet"]}
    while added := {child for child, parent in parents.items() if parent in found} - found:
        found |= added
    return sorted(child for child in found & supervisors if parents[child] in supervisors)


def main(arguments: list[str]) -> int:
    """Collect twice and compare; 0 if the tables are the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2, help="of RL")
    parser.add_argument("--candidates", type=int, default=8, help="each has three runs")
    wanted = parser.parse_args(arguments)
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "300")
    import ray
    from ray.cluster_utils import Cluster

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan = write_plan(folder, wanted.steps, wanted.candidates)
        started = time.monotonic()
        assert not collect(plan, folder / "here", workers=2).failed
        here = time.monotonic() - started
        size = {"object_store_memory": 80 * 2**20}
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **size})
        try:
            nodes = [cluster.add_node(num_cpus=1, **size) for _ in range(3)]
            ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
            killed: list[str] = []

            def kill_one(running: dict[str, Path]) -> None:
                done = len(read_ledger(folder / "on-ray" / "ledger.jsonl"))
                runs = [identity for identity in running if identity.startswith("grpo/")]
                if not killed and done > wanted.candidates * 2 and runs and forks_of(nodes[2]):
                    killed.append(nodes[2].node_id)
                    cluster.remove_node(nodes[2], allow_graceful=False)

            started = time.monotonic()
            summary = collect(plan, folder / "on-ray", workers=3, launcher="ray", watch=kill_one)
            there = time.monotonic() - started
        finally:
            ray.shutdown()
            cluster.shutdown()
        tables = [pl.read_parquet(folder / work / "corpus.parquet") for work in ("here", "on-ray")]
        kept = [column for column in tables[0].columns if not column.startswith("cost_")]
        same = tables[0].select(kept).equals(tables[1].select(kept))
        attempts = read_ledger(folder / "on-ray" / "ledger.jsonl")
        begun = len(list((folder / "on-ray" / "logs").glob("*.yaml")))
        lost = begun - len(attempts)
        print(f"{tables[1].height} runs, {len(attempts)} stages, {lost} lost with the node that was killed")
        print(f"this machine, 2 forks: {here:.0f} s; Ray, three nodes of one processor: {there:.0f} s")
        print(f"{len(kept)} columns {'are the same to the bit' if same else 'DIFFER'}")
        return 0 if same and killed and not summary.failed and tables[1].height == 3 * wanted.candidates else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
