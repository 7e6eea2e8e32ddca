"""Print the speed figures, each beside a yardstick from the same run: `make bench`, or `python bench/run.py NAME ...`.

A new benchmark is a file here with a `measure()` that returns figures, and its name in the list below.
"""

import importlib
import os
import platform
import sys

from timing import Figure

BENCHMARKS = (
    "cold_start",
    "pass_at_k",
    "grading",
    "evaluation",
    "engine_overhead",
    "gpu",
    "validation",
    "ranking",
    "importing",
    "size",
    "launchers",
)


def line(figure: Figure) -> str:
    """Return one line of the table."""
    ratio = figure.seconds / figure.yardstick_seconds
    times = f"{ratio:.2f} x" if ratio >= 0.1 else f"1/{1 / ratio:.0f} x"
    verdict = "kept" if figure.kept else "MISSED"
    return (
        f"{figure.name:<42} {figure.seconds:>9.3f} s   {figure.yardstick:<22} {figure.yardstick_seconds:>9.3f} s "
        f"{times:>9}   {figure.promise:<18} {verdict:<6}  {figure.note}"
    )


def main(names: list[str]) -> int:
    """Run the named benchmarks, or all; 1 if a promise was missed."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"error: unknown benchmark '{unknown[0]}'; known are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    print(
        f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores; medians of runs in turn\n"
    )
    missed = False
    for name in names or BENCHMARKS:
        for figure in importlib.import_module(name).measure():
            print(line(figure), flush=True)
            missed |= not figure.kept
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
