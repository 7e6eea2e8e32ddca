"""``quagpredict evaluate``: measure one checkpoint on a suite."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from quagpredict.cli import COMMANDS
from quagpredict.cli.inputs import FORMATS, emit, say, tables
from quagpredict.errors import UsageError

if TYPE_CHECKING:
    from quagpredict.evaluation import Score

DESCRIPTION = """\
Draw samples of every problem of a suite, grade them, and measure the held-out loss. The folder RUN then holds the
samples, the counts of each problem, and candidate.parquet, the one-row table that `quagpredict rank` reads.
"""
EPILOG = """\
examples:
  quagpredict evaluate checkpoints/mix-a --suite collectors/suites/lab-pilot.yaml --samples 256 --out runs/mix-a
  quagpredict rank --candidates runs/*/candidate.parquet
"""


def add_parser(subparsers: "argparse._SubParsersAction[Any]") -> None:
    """Add the command's options."""
    parser = subparsers.add_parser(
        "evaluate",
        help=COMMANDS["evaluate"],
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("checkpoint", type=Path, help="Hugging Face model folder")
    add("--suite", required=True, metavar="FILE", help="suite (YAML)")
    add("--samples", type=int, default=256, metavar="N", help="samples of each problem (default: 256)")
    add("--out", required=True, type=Path, metavar="RUN", help="folder to write to")
    add("--name", help="name of the candidate (default: the checkpoint folder's)")
    add("--base-model", metavar="NAME", help="what the checkpoint was fine-tuned from, if that is known")
    add(
        "--engine",
        default="auto",
        metavar="NAME",
        help="what draws the samples: transformers, vllm, or auto (default): vllm where it runs on CUDA",
    )
    add("--workers", type=int, default=1, metavar="N", help="processes, each with GPUs of its own (default: 1)")
    add(
        "--engine-setting",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting of the engine, e.g. gpu_memory_utilization=0.8; may be repeated",
    )
    add("--batch-size", type=int, default=256, metavar="N", help="samples drawn side by side (default: 256)")
    add("--format", choices=FORMATS, default="table", help="what to print (default: table)")


def run(args: argparse.Namespace) -> int:
    """Measure, write, print."""
    from quagpredict.corpus import assemble_row, write_corpus
    from quagpredict.evaluation import read_suite, score_checkpoint, summarise
    from quagpredict.program import weights_digest
    from quagpredict.report.measurement_tables import measurement_csv, measurement_json, print_measurement
    from quagpredict.report.progress import progress_of
    from quagpredict.shipped import shipped_path

    checkpoint = Path(tables([str(args.checkpoint)])[0])
    checkpoint_digest = weights_digest(checkpoint)
    suite = read_suite(shipped_path(args.suite))
    for reason in suite.unreadable:
        say(f"note: dropped: {reason}")
    with progress_of("samples") as progress:
        score: Score = score_checkpoint(
            checkpoint,
            suite,
            samples=args.samples,
            engine=args.engine,
            batch_size=args.batch_size,
            workers=args.workers,
            engine_settings=engine_settings(args.engine_setting),
            out=args.out,
            progress=progress,
        )
    name = args.name or checkpoint.resolve().name
    identity = {"candidate": name, "base_model": args.base_model, "eval_protocol_id": score.eval_protocol_id}
    row = assemble_row(identity, score.measurement, score.problems)
    file = args.out / "candidate.parquet"
    write_corpus(row, file, {"suite": suite.name, "checkpoint": checkpoint_digest, "engine": score.engine})
    summary = summarise(score.problems)
    makers = {
        "csv": lambda: measurement_csv(summary),
        "json": lambda: measurement_json(name, score.eval_protocol_id, score.measurement, summary),
    }
    emit(args.format, makers, lambda console: print_measurement(name, score.measurement, summary, console), None)
    say(f"wrote {file}")
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
        except yaml.YAMLError:
            raise UsageError(f"--engine-setting: {value!r} is no value of '{key}'") from None
    return settings
