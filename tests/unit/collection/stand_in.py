"""A stand-in for every program of the lab: keeps their contract, needs no torch, takes the time it is told to take.

Its results depend on its config and on what its input folder holds, and on nothing else.
"""

import hashlib
import json
import os
import sys
import time
from pathlib import Path

import yaml

INPUTS = ("model_name_or_path", "checkpoint", "resume_from_checkpoint", "samples_from")
KEPT = ("keep_steps", "keep_epochs")


def main(arguments):
    started = time.perf_counter()
    config = yaml.safe_load(Path(arguments[arguments.index("--config") + 1]).read_text())
    folder = Path(config.pop("output_dir"))
    inputs = {key: Path(config.pop(key)) for key in INPUTS if key in config and Path(config[key]).is_dir()}
    given = {key: (path / "model.safetensors").read_bytes().decode(errors="replace") for key, path in inputs.items()}
    given |= {"other machine": os.environ["STAND_IN_MACHINE"]} if "STAND_IN_MACHINE" in os.environ else {}
    said = {**config, "suite": Path(config["suite"]).name} if "suite" in config else config  # wherever its file lies
    seed = hashlib.sha256(json.dumps([said, given], sort_keys=True).encode()).hexdigest()
    if "needs" in config and not Path(config["needs"]).exists():
        print("error: told to fail", file=sys.stderr)
        return 3
    if (name := os.environ.get("STAND_IN_FAILS")) and name in folder.as_posix():
        return 1
    if config.get("forget"):
        return 0
    time.sleep(float(os.environ.get("STAND_IN_SECONDS", "0")) * (0.5 + int(seed[:4], 16) / 65536))
    at_once = config.get("batch_size", config.get("per_device_train_batch_size", 0))
    if at_once > int(os.environ.get("STAND_IN_GPU_HOLDS", at_once)):
        return run_out(at_once)
    if "samples" in config and os.environ.get("STAND_IN_BREAKS_AFTER_SAMPLES"):
        (folder / "samples").mkdir()
        (folder / "samples" / "part").write_text("drawn once")
        return 1
    if "samples" in config:
        results = evaluate(folder, config["samples"], seed)
    elif "max_steps" in config:
        curve = [dict.fromkeys(("reward", "reward_std", "zero_variance_share", "entropy"), 0.5)]
        curve = [{**point, "step": 1, "completion_length": 9.0, "clipped_share": 0.0} for point in curve]
        results = {"rl_curve": curve, "rl_steps": config.get("pause_at", config["max_steps"])}
        if "pause_at" in config:
            (folder / "paused").mkdir()
            (folder / "paused" / "model.safetensors").write_text(f"{seed} paused")
    else:
        results = {}
    (folder / "model.safetensors").write_text(seed)
    for kept in (value for key in KEPT for value in config.get(key, [])):
        (folder / f"at-{kept:g}").mkdir()
        (folder / f"at-{kept:g}" / "model.safetensors").write_text(f"{seed} at {kept:g}")
    outputs = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*.safetensors")
        if not path.parent.name.startswith("checkpoint-")
    }
    seconds = time.perf_counter() - started
    record = {"program": "stand_in", "results": results, "seconds": seconds, "outputs": outputs}
    if "spoiled_unless" in config and not Path(config["spoiled_unless"]).exists():
        results["loss"] = float("nan")
    (folder / "record.json.aside").write_text(json.dumps(record))
    (folder / "record.json.aside").rename(folder / "record.json")
    print("done", seed)
    return int(os.environ.get("STAND_IN_EXIT", "0"))


def run_out(at_once):
    import traceback

    import torch

    try:
        raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {at_once}.00 GiB.")
    except torch.OutOfMemoryError:
        traceback.print_exc()
    return 1


def evaluate(folder, samples, seed):
    import polars as pl

    correct = [int(seed[8 * i : 8 * i + 8], 16) % (samples + 1) for i in range(4)]
    problems = {"benchmark": ["b"] * 4, "problem_id": list("pqrs"), "level": [1, 1, 2, 2], "n": [samples] * 4}
    pl.DataFrame(problems | {"c": correct}).write_parquet(folder / "problems.parquet")
    return {"eval_protocol_id": "p", "measurement": {"pass_at_1": sum(correct) / samples / 4, "problems_count": 4}}


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
