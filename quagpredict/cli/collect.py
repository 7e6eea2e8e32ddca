"""``quagpredict collect``: run a plan's stages, resumable at any moment."""

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quagpredict.cli.inputs import arguments_of, console, say, say_notes, several_of
from quagpredict.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quagpredict.collection.estimate import KindCost

DESCRIPTION = "Run the stages of a plan that are not done yet. Stop it at any moment, start it again to resume."
EPILOG = """\
examples:
  quagpredict collect collectors/plans/lab-pilot.yaml --workers 2
  quagpredict collect collectors/plans/paper-qwen3-4b.yaml --dry-run
  quagpredict collect collectors/plans/paper-qwen3-4b.yaml --estimate
  quagpredict collect collectors/plans/lab.yaml --workers 2 --records datasets/lab/records-*.parquet
  quagpredict collect collectors/plans/lab-2.yaml --until evaluate-pre --only 'plain.*'
  quagpredict collect collectors/plans/lab-race.yaml --in-full
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add, several = parser.add_argument, several_of(parser)
    add("plan", type=Path, metavar="PLAN", help="plan file (YAML)")
    add("--out", type=Path, metavar="DIR", help="work folder (default: runs/<name of the plan>)")
    add("--workers", type=int, default=1, metavar="N", help="stages that run at once (default: 1)")
    add("--limit", type=int, metavar="N", help="only the first N candidates with something left to do")
    add("--until", metavar="KIND", help="the last kind of stage to run, e.g. evaluate-pre: measure, and wait with RL")
    several("--only", default=[], metavar="PATTERN", help="only candidates of these names, e.g. 'plain.*'")
    add("--retry-failed", action="store_true", help="try failed stages again")
    add("--in-full", action="store_true", help="take all runs to the end, whatever the plan's race says")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--dry-run",
        action="store_true",
        help="print each stage's state, and the command line of those that would run; do nothing",
    )
    instead.add_argument("--estimate", action="store_true", help="print what the whole plan costs, and run nothing")
    several(
        "--records",
        default=[],
        type=Path,
        metavar="FILE",
        help="archives of this collection from elsewhere: what they hold is not done again",
    )
    add("--launcher", metavar="NAME", help="where stages run, instead of the plan's launch.mode: fork, spawn, ray, ...")
    add("--join", action="store_true", help="share the work with the collectors at this folder, here or elsewhere")
    add("--address", metavar="ADDRESS", help="the launcher's cluster, e.g. of Ray: auto, or HOST:PORT")
    add("--fork-server", type=Path, metavar="SOCKET", help="use the fork server that listens there")


def run(args: argparse.Namespace) -> int:
    """Collect, and say on stderr how it ended.

    Returns
    -------
    int
        0 if nothing failed, 1 if a stage failed or is blocked by one, 130 after Ctrl-C.
    """
    from quagpredict.collection import collect, planned_commands
    from quagpredict.collection.planning import checked_launcher
    from quagpredict.plans.plan import Plan

    for name in ("workers", "limit"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name}: expected a whole number of at least 1, got {value}")
    plan = Plan.from_yaml(args.plan)
    checked_launcher(plan.name, plan.launch, args.launcher, args.fork_server)
    out = args.out or Path("runs") / plan.name
    if args.dry_run:
        counts = Counter[str]()
        for stage, state, command in planned_commands(**arguments_of(args, planned_commands, plan=plan, out=out)):
            counts[state] += 1
            print(f"# {stage.id}: {state}" + (f"\n{command}" if state in ("ready", "waiting") else ""))
        would = f"{counts['ready'] + counts['waiting']} would run, {counts['ready']} of them at once"
        hint = "" if not counts["failed"] else f" ({counts['failed']} failed; --retry-failed tries them again)"
        say(f"{counts['done']} stages are done, {would}, {counts['failed'] + counts['blocked']} would not{hint}")
        return 0
    if args.estimate:
        from quagpredict.collection.estimate import estimate_cost

        estimate = estimate_cost(plan, out)
        _print_costs(estimate.costs)
        say_notes(estimate.notes, "collect")
        return 0
    try:
        summary = collect(**arguments_of(args, collect, plan=plan, out=out))
    except KeyboardInterrupt:
        print("stopped; the same command resumes from here", file=sys.stderr)
        return 130
    print(
        f"{summary.done} stages done, {summary.left} left, {summary.rows} rows in {out / 'corpus.parquet'}",
        file=sys.stderr,
    )
    for attempt in summary.failed:
        print(f"failed: {attempt.stage}, see {out / attempt.log}", file=sys.stderr)
    if summary.blocked:
        print(f"blocked by these: {', '.join(summary.blocked)}", file=sys.stderr)
    if summary.failed:
        print("--retry-failed tries them again", file=sys.stderr)
    return 1 if summary.failed else 0


def _print_costs(costs: "Sequence[KindCost]") -> None:
    """Print the cost of each kind of stage, and of all; empty where nothing is known."""
    from quagpredict.report.formats import table_of

    def column(values: "list[Any]", form: str) -> list[str]:
        measured = [value for value in values if value is not None]
        return [
            "" if value is None else format(value, form) for value in (*values, sum(measured) if measured else None)
        ]

    columns = {
        "stages": [*(cost.kind for cost in costs), "all"],
        "number": column([cost.stages for cost in costs], ","),
        " hours": column([cost.hours for cost in costs], ",.1f"),
        " GPU-hours": column([cost.gpu_hours for cost in costs], ",.0f"),
        " GiB": column([cost.disk_gib for cost in costs], ",.0f"),
        " from": [*(f" {cost.how}" for cost in costs), ""],
    }
    console().print(table_of(columns, {"stages": 12, " from": None}))
