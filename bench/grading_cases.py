"""The table of docs/guide/grading.md: the grader's own cases by kind, here and with Math-Verify alone.

python bench/grading_cases.py [--only-ours]

Math-Verify is asked as a script would: `verify(parse(gold in a box), parse(response))`. It runs in a child, and a pair
that it does not answer within twice its own limit counts as not accepted. The cases are those of the tests
(tests/unit/answers/cases.jsonl): they were collected while this grader was mended, so its own columns are what the
tests hold, and say nothing about cases that nobody has thought of.
"""

import argparse
import json
import multiprocessing
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path

from quagpredict.answers import grade_many

CASES = Path(__file__).parents[1] / "tests" / "unit" / "answers" / "cases.jsonl"
LIMIT_S = 10.0


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


def main() -> None:
    """Print the table, and the totals."""
    parser = argparse.ArgumentParser(description="Grade the cases of the tests, here and with Math-Verify alone.")
    parser.add_argument("--only-ours", action="store_true")
    only_ours = parser.parse_args().only_ours
    cases = [json.loads(line) for line in CASES.read_text(encoding="utf-8").splitlines()]
    grades = grade_many([case["response"] for case in cases], [case["gold"] for case in cases])
    columns = {"here": [grade.verdict == "correct" for grade in grades]}
    if not only_ours:
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
