r"""Prove suites: `python collectors/check_suite.py SUITE ...`; the exit code is 3 if a gold fails.

Every problem is loaded, every gold is read by the grader, and a response that states the gold in \boxed{} is graded.
"""

import argparse
import sys
import time

from quagpredict.errors import InvalidDataError, QuagpredictError
from quagpredict.evaluation import read_suite
from quagpredict.evaluation.suite import check_suite
from quagpredict.program import run_program


def main(arguments: list[str]) -> None:
    """Check each suite and print its counts; the first that fails is the error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="+", metavar="SUITE", help="YAML file")
    failed: QuagpredictError | None = None
    for name in parser.parse_args(arguments).suites:
        started = time.perf_counter()
        suite = read_suite(name)
        table = check_suite(suite)
        print(f"{suite.name} ({time.perf_counter() - started:.1f} s)")
        print(f"{'benchmark':<20} {'problems':>8} {'graded correct':>14}")
        for benchmark, problems, correct, wrong in table.rows():
            print(f"{benchmark:<20} {problems:>8,} {correct:>14,}")
            for line in wrong:
                print(f"  not correct: {line}")
        for title, lines in (("skipped by the suite", suite.skipped), ("gold that cannot be read", suite.unreadable)):
            for line in lines:
                print(f"  {title}: {line}")
        bad = sum(len(wrong) for wrong in table["not_correct"]) + len(suite.unreadable)
        if bad and failed is None:
            failed = InvalidDataError(
                f"suite {suite.name}: {bad} golds fail; mend them, or list their ids under `skip`"
            )
    if failed is not None:
        raise failed


if __name__ == "__main__":
    sys.exit(run_program(main))
