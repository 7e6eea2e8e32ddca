"""``quagpredict evaluate``: measure one checkpoint on a suite."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import yaml

from quagpredict.cli.inputs import FORMATS, arguments_of, emit, say, say_notes, several_of
from quagpredict.errors import UsageError

DESCRIPTION = """\
Draw samples of every problem of a suite, grade them, and measure the held-out loss. The folder RUN then holds the
samples, the counts of each problem, a summary, and candidate.parquet, the one-row table that `quagpredict rank` reads.

What is in RUN is used again: after a kill only missing samples are drawn, more samples are added to those that are
there, another grading policy or a shorter token budget draws nothing. Other weights, templates or sampling settings
reuse nothing, and nothing is deleted.
"""
EPILOG = """\
examples:
  quagpredict evaluate checkpoints/mix-a --suite collectors/suites/lab-pilot.yaml --samples 256 --out runs/mix-a
  quagpredict evaluate Qwen/Qwen3-4B-Base --suite collectors/suites/paper-math.yaml --no-sft --out runs/base
  quagpredict evaluate checkpoints/mix-a --suite collectors/suites/lab-pilot.yaml --samples auto --precision 0.01 \\
    --target pass@64 --out runs/mix-a
  quagpredict evaluate checkpoints/mix-b --suite collectors/suites/lab-pilot.yaml --samples auto --target order@64 \\
    --against runs/*/candidate.parquet --out runs/mix-b
  quagpredict rank --candidates runs/*/candidate.parquet
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    from quagpredict.engines.table import engine_names

    add = parser.add_argument
    several = several_of(parser)
    add("checkpoint", help="model folder, or a model of the Hugging Face hub: organisation/model[@revision]")
    add("--suite", required=True, metavar="FILE", help="suite (YAML)")
    add("--samples", type=_samples, default=256, metavar="N", help="samples of each problem, or auto (default: 256)")
    add(
        "--precision",
        type=float,
        metavar="P",
        help="with auto: wanted half-width of the 90 %% interval of Pass@K; with order the smallest worth its samples "
        "(there by default 0.01)",
    )
    add(
        "--target",
        default="pass@64",
        metavar="T",
        help="with auto: pass@K, known to P (default: pass@64), or order@K, told apart from each of --against",
    )
    several(
        "--against",
        default=[],
        metavar="TABLE",
        help="with order: candidate files or run folders of the others, measured on the same suite",
    )
    add("--out", required=True, type=Path, metavar="RUN", help="folder to write to")
    add("--name", help="name of the candidate (default: the checkpoint's)")
    add("--base-model", metavar="NAME", help="what the checkpoint was fine-tuned from, if that is known")
    add(
        "--no-sft",
        action="store_true",
        help="the checkpoint is the base model: the candidate 'RL from the base' of `rank --gate no-sft`",
    )
    add(
        "--engine",
        default="auto",
        metavar="NAME",
        help=f"what draws the samples: {engine_names()} (default: auto, which is vllm where it runs on CUDA)",
    )
    add("--workers", type=int, default=1, metavar="N", help="processes, each with GPUs of its own (default: 1)")
    add("--ray", metavar="ADDRESS", help="the workers are actors of the Ray cluster at this address, or auto")
    add(
        "--engine-setting",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting of the engine, e.g. gpu_memory_utilization=0.8; may be repeated",
    )
    add("--batch-size", type=int, metavar="N", help="samples drawn side by side (default: what fits the free memory)")
    several(
        "--overlap",
        default=[],
        metavar="FILE",
        help="texts trained on (JSONL, JSON, CSV, Parquet): refuse if problems or held-out solutions stand in them",
    )
    add("--overlap-ngram", type=int, default=13, metavar="N", help="words of an n-gram (default: 13)")
    add("--max-overlap", type=float, default=0.01, metavar="S", help="largest share of copied texts (default: 0.01)")
    add("--format", choices=FORMATS, default="table", help="what to print (default: table)")
    add("--json", action="store_const", const="json", dest="format", help="the same as --format json")
    add("--quiet", action="store_true", help="print neither notes nor progress; the result and errors remain")


def _samples(text: str) -> int | Literal["auto"]:
    if text == "auto":
        return "auto"
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"invalid int value, or auto: '{text}'") from None


def run(args: argparse.Namespace) -> int:
    """Measure, write, print."""
    from quagpredict.evaluation import OverlapCheck, score_checkpoint
    from quagpredict.report.measurement_tables import print_measurement
    from quagpredict.report.progress import progress_of

    overlap = OverlapCheck(args.overlap, args.overlap_ngram, args.max_overlap) if args.overlap else None
    if args.out.exists() and not args.out.is_dir():
        raise UsageError(f"--out {args.out}: is a file; name a folder")
    try:
        with progress_of("samples", before="loading the model", shown=not args.quiet) as progress:
            score = score_checkpoint(
                **arguments_of(
                    args,
                    score_checkpoint,
                    engine_settings=engine_settings(args.engine_setting),
                    overlap=overlap,
                    progress=progress,
                    say=None if args.quiet else (lambda line: say_notes([line], "evaluate")),
                )
            )
    except KeyboardInterrupt:
        say(f"stopped; what was drawn is kept in {args.out} but for the last seconds; the same command resumes")
        return 130
    values = score.as_dict()
    emit(args.format, lambda console: print_measurement(values, console), lambda: score.summary, lambda: values)
    if not args.quiet:
        say(f"{score.drawn:,} samples drawn, {score.samples.height - score.drawn:,} were there")
        say(f"wrote {args.out / 'candidate.parquet'}")
    return 0


def engine_settings(words: Sequence[str]) -> dict[str, Any]:
    """Return ``KEY=VALUE`` words as settings, values as YAML reads them.

    Raises
    ------
    UsageError
        For a word without ``=``, or a value that is not YAML.

    Examples
    --------
    >>> engine_settings(["gpu_memory_utilization=0.8", "dtype=bfloat16", "prefix_caching=false"])
    {'gpu_memory_utilization': 0.8, 'dtype': 'bfloat16', 'prefix_caching': False}
    """
    settings = {}
    for word in words:
        key, sign, value = word.partition("=")
        if not key or not sign:
            raise UsageError(f"--engine-setting: expected KEY=VALUE, got {word!r}")
        try:
            settings[key] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError, RecursionError):
            raise UsageError(f"--engine-setting: {value!r} is no value of '{key}'") from None
    return settings
