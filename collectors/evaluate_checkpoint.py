"""Measure a checkpoint on a suite: `python collectors/evaluate_checkpoint.py --config evaluate.yaml`.

Keys: checkpoint, suite, samples, output_dir, and optionally engine, batch_size, workers, engine_settings, overlap
(against, ngram, max_share), samples_from (a folder of this program with the first of the samples). The same program
measures before and after RL, with the same grader.
"""

import argparse
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from quagpredict.checkpoint import checkpoint_folder, weights_digest
from quagpredict.errors import RecipeError
from quagpredict.evaluation import overlap_check, score_checkpoint
from quagpredict.plans.keys import known_keys_only
from quagpredict.plans.reading import read_yaml
from quagpredict.program import run_program, write_record

REQUIRED = ("checkpoint", "suite", "samples", "output_dir")
OPTIONAL: dict[str, Any] = {
    **{"engine": "transformers", "batch_size": None, "workers": 1, "engine_settings": {}},
    **{"overlap": None, "samples_from": None},
}


def main(arguments: list[str]) -> None:
    """Read the config, measure, write the record."""
    started = time.perf_counter()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, help="YAML file")
    config = parse_config(parser.parse_args(arguments).config)

    if config["samples_from"] is not None:
        copy_samples(Path(config["samples_from"]), Path(config["output_dir"]))
    checkpoint = checkpoint_folder(config["checkpoint"]).folder  # "RL from the base": it may be a model of the hub
    score = score_checkpoint(
        checkpoint,
        config["suite"],
        samples=config["samples"],
        engine=config["engine"],
        batch_size=config["batch_size"],
        workers=config["workers"],
        engine_settings=config["engine_settings"],
        out=config["output_dir"],
        overlap=config["overlap"],
        progress=print_progress,
        say=note,
    )
    results = {"eval_protocol_id": score.eval_protocol_id, "measurement": score.measurement, "engine": score.engine}
    if score.overlap:
        results["overlap"] = score.as_dict()["overlap"]
    write_record(
        config["output_dir"],
        program="collectors/evaluate_checkpoint.py",
        started=started,
        results=results,
        inputs={"checkpoint": weights_digest(checkpoint)},
    )


def parse_config(path: str) -> dict[str, Any]:
    """Read the YAML and refuse unknown, missing or mistyped keys."""
    config = read_yaml(path)
    known_keys_only(config, [*REQUIRED, *OPTIONAL], path)
    for key in REQUIRED:
        if key not in config:
            raise RecipeError(f"{path}: the key '{key}' is missing")
    config = OPTIONAL | config
    for key in ("samples", "batch_size", "workers"):
        if key == "batch_size" and config[key] is None:
            continue
        if not isinstance(config[key], int) or isinstance(config[key], bool) or config[key] < 1:
            raise RecipeError(f"{path}: {key} must be a whole number of at least 1, got {config[key]!r}")
    if not isinstance(config["engine_settings"], dict):
        raise RecipeError(f"{path}: engine_settings must be a mapping of keys, got {config['engine_settings']!r}")
    if config["overlap"] is not None:
        config["overlap"] = overlap_check(config["overlap"], path)
    return config


def copy_samples(earlier: Path, folder: Path) -> None:
    """Take over what was drawn before, unless this measurement was begun; what is not there is drawn again."""
    if (earlier / "samples").is_dir() and not (folder / "samples").exists():
        shutil.copytree(earlier / "samples", folder / ".samples", dirs_exist_ok=True)
        (folder / ".samples").rename(folder / "samples")


def note(line: str) -> None:
    """Say what the measurement has to say."""
    print(f"note: {line}", file=sys.stderr, flush=True)


def print_progress(done: int, total: int) -> None:
    """Say how many samples there are."""
    print(f"{done:,} of {total:,} samples", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(run_program(main))
