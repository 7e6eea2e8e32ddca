import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from quagpredict.collection.endings import ran_out_of_gpu_memory, with_half_the_batch
from quagpredict.collection.stages import Kind, Stage

# What torch raises where a GPU is full, raised by torch itself; each way in which a program may end with it.
PROGRAM = """
import sys, torch
from quagpredict.errors import QuagpredictError
from quagpredict.program import run_program

def main(arguments):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total of 79.11 GiB")

def as_a_worker_says_it(arguments):
    try:
        main(arguments)
    except Exception as error:
        raise QuagpredictError(f"a worker failed: {type(error).__name__}: {error}")

print(run_program(as_a_worker_says_it), file=sys.stderr)
sys.exit(run_program(main))
"""


def stage(kind: Kind, **config: Any) -> Stage:
    return Stage(kind, "a", "program.py", config, {}, "key", "a")


def test_the_log_of_a_program_that_ran_out_of_gpu_memory_says_so(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    done = subprocess.run([sys.executable, str(tmp_path / "program.py")], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    as_worker, code, as_program = done.stderr.partition("\n1\n")
    assert code
    log = tmp_path / "one.log"
    for said in (as_worker, as_program, as_program + "torch.distributed...errors.ChildFailedError:\n" + 100 * "=\n"):
        log.write_text(said)
        assert ran_out_of_gpu_memory(log)


@pytest.mark.parametrize(
    "said",
    [
        "MemoryError",
        "ray.exceptions.OutOfMemoryError: Task was killed due to the node running low on memory.",
        "error: the answers file speaks of out of memory",
        "",
    ],
)
def test_other_reasons_are_not_taken_for_it(tmp_path: Path, said: str) -> None:
    log = tmp_path / "one.log"
    log.write_text(said)
    assert not ran_out_of_gpu_memory(log)
    assert not ran_out_of_gpu_memory(tmp_path / "none.log")


@pytest.mark.parametrize("kind", ["sft", "grpo"])
def test_a_training_with_half_the_batch_takes_the_same_steps(kind: Kind) -> None:
    for config in ({}, {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 3}):
        changed = {**config, **(with_half_the_batch(stage(kind, **config)) or {})}
        at_once, times = changed["per_device_train_batch_size"], changed["gradient_accumulation_steps"]
        before = config.get("per_device_train_batch_size", 8) * config.get("gradient_accumulation_steps", 1)
        assert at_once * times == before
        assert 2 * at_once == config.get("per_device_train_batch_size", 8)


@pytest.mark.parametrize(
    ("config", "drawn"),
    [
        ({}, 4),
        ({"per_device_train_batch_size": 6, "gradient_accumulation_steps": 3}, 9),
        ({"per_device_train_batch_size": 6, "gradient_accumulation_steps": 3, "steps_per_generation": 2}, 6),
        ({"per_device_train_batch_size": 6, "generation_batch_size": 96}, 3),
        ({"drawn_at_once": 9}, 4),
        ({"drawn_at_once": 1}, 1),
        ({"use_vllm": True}, None),
    ],
)
def test_rl_draws_half_as_many_responses_at_once(config: dict[str, Any], drawn: int | None) -> None:
    ours = Stage("grpo", "a", "training/train_grpo.py", config, {}, "key", "a")
    assert (with_half_the_batch(ours) or {}).get("drawn_at_once") == drawn
    assert "drawn_at_once" not in (with_half_the_batch(stage("grpo", **config)) or {})  # a program that may not know it


def test_what_cannot_be_halved() -> None:
    for given in (
        stage("base", per_device_train_batch_size=8),
        stage("sft", per_device_train_batch_size=1),
        stage("sft", per_device_train_batch_size=5),
        stage("evaluate-pre", batch_size=1),
    ):
        assert with_half_the_batch(given) is None
    assert with_half_the_batch(stage("evaluate-post")) == {"batch_size": 128}
