"""The table of docs/grading-measured.md: the grader's own cases by kind, here and with Math-Verify alone.

python bench/grading_cases.py [--only-ours] [--before [REVISION]]

Math-Verify is asked as a script would: `verify(parse(gold in a box), parse(response))`. It runs in a child, and a pair
that it does not answer within twice its own limit counts as not accepted. The cases are those of the tests
(tests/unit/answers/cases.jsonl): they were collected while this grader was mended, so its own columns are what the
tests hold, and say nothing about cases that nobody has thought of. ``--before`` adds the grader of an earlier revision
of this repository, in a process of its own: grader 2, the last before answers were read into a form, unless another is
named.
"""

import argparse
import io
import json
import multiprocessing
import os
import subprocess
import sys
import tarfile
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

from quagpredict.answers import grade_many

CASES = Path(__file__).parents[1] / "tests" / "unit" / "answers" / "cases.jsonl"
LIMIT_S = 10.0
GRADER_2 = "aae86cf"
# What an earlier revision runs: cases on standard input, one truth value for each on standard output.
ASKED = """
import json, sys
from quagpredict.answers import GradingPolicy, grade
from quagpredict.errors import InvalidDataError
policy = GradingPolicy(symbolic=sys.argv[1] == "symbolic")
found = []
for case in json.load(sys.stdin):
    try:
        found.append(grade(case["response"], case["gold"], policy=policy).verdict == "correct")
    except InvalidDataError:  # a gold that it could not read
        found.append(False)
json.dump(found, sys.stdout)
"""


def served(cases: Connection) -> None:
    """Answer cases with Math-Verify's verdict, until there are none."""
    from math_verify import parse, verify

    while (case := cases.recv()) is not None:
        gold = case["gold"]
        whole = "boxed" in gold or "####" in gold
        try:
            cases.send(bool(verify(parse(gold if whole else f"\\boxed{{{gold}}}"), parse(case["response"]))))
        except Exception:  # it has no answer for everything
            cases.send(False)


def by_math_verify(cases: list[dict[str, object]]) -> list[bool]:
    """Return whether Math-Verify accepts each response."""
    context = multiprocessing.get_context("spawn")
    found = []
    ours, child = None, None
    for case in cases:
        if child is None:
            ours, theirs = context.Pipe()
            child = context.Process(target=served, args=(theirs,))
            child.start()
            ours.send({"gold": "1", "response": "1"})
            ours.recv()
        ours.send(case)
        if ours.poll(LIMIT_S):
            found.append(ours.recv())
        else:
            found.append(False)
            child.kill()
            child = None
    if child is not None:
        ours.send(None)
        child.join()
    return found


def by_revision(cases: list[dict[str, object]], revision: str) -> dict[str, list[bool]]:
    """Return what the grader of a revision accepts, without its symbolic stage and with it."""
    packed = subprocess.run(
        ["git", "archive", revision, "quagpredict"], cwd=CASES.parents[3], check=True, stdout=subprocess.PIPE
    ).stdout
    with TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(folder, filter="data")
        found = {}
        for stage in ("text and values", "symbolic"):
            answer = subprocess.run(
                [sys.executable, "-c", ASKED, stage],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": folder},
                input=json.dumps(cases),
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            found[f"{revision}, {stage}"] = json.loads(answer.stdout)
        return found


def main() -> None:
    """Print the table, and the totals."""
    parser = argparse.ArgumentParser(description="Grade the cases of the tests, here and with Math-Verify alone.")
    parser.add_argument("--only-ours", action="store_true")
    parser.add_argument("--before", nargs="?", const=GRADER_2, metavar="REVISION")
    wanted = parser.parse_args()
    cases = [json.loads(line) for line in CASES.read_text(encoding="utf-8").splitlines()]
    grades = grade_many([case["response"] for case in cases], [case["gold"] for case in cases])
    columns = {"here": [grade.verdict == "correct" for grade in grades]}
    if wanted.before:
        columns |= by_revision(cases, wanted.before)
    if not wanted.only_ours:
        columns["Math-Verify"] = by_math_verify(cases)
    wrongly: Counter[tuple[str, str, bool]] = Counter()
    for name, accepted in columns.items():
        for case, verdict in zip(cases, accepted, strict=True):
            if verdict != case["expected"]:
                wrongly[name, case["kind"], verdict] += 1
                wrongly[name, "all", verdict] += 1
    sides = "".join(f" {name}: accepted wrongly | rejected wrongly |" for name in columns)
    print(f"| kind | to accept | to reject |{sides}")
    print("| --- |" + " ---: |" * (2 + 2 * len(columns)))
    for kind in [*dict.fromkeys(case["kind"] for case in cases), "all"]:
        members = [case for case in cases if kind in ("all", case["kind"])]
        right = sum(case["expected"] for case in members)
        counts = "".join(f" {wrongly[name, kind, True]} | {wrongly[name, kind, False]} |" for name in columns)
        print(f"| {kind} | {right} | {len(members) - right} |{counts}")


if __name__ == "__main__":
    main()
