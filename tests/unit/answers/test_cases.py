"""The grader's cases, by kind: what is accepted and what is not (cases.jsonl: kind, gold, response, expected)."""

import json
from pathlib import Path

import pytest

from quagpredict.answers import GradingPolicy, grade_many

CASES = [json.loads(line) for line in Path(__file__).with_name("cases.jsonl").read_text(encoding="utf-8").splitlines()]
KINDS = sorted({case["kind"] for case in CASES})


@pytest.mark.parametrize("kind", KINDS)
def test_every_case_of_a_kind_is_graded_as_expected(kind):
    cases = [case for case in CASES if case["kind"] == kind]
    grades = grade_many([case["response"] for case in cases], [case["gold"] for case in cases])
    mistaken = [
        (case["gold"], case["response"], grade.verdict)
        for case, grade in zip(cases, grades, strict=True)
        if (grade.verdict == "correct") != case["expected"]
    ]
    assert mistaken == []


def test_the_symbolic_stage_accepts_nothing_that_is_wrong():
    cases = [case for case in CASES if not case["expected"]]
    policy = GradingPolicy(symbolic=True)
    grades = grade_many([case["response"] for case in cases], [case["gold"] for case in cases], policy=policy)
    accepted = [
        (case["gold"], case["response"]) for case, g in zip(cases, grades, strict=True) if g.verdict == "correct"
    ]
    assert accepted == []


def test_every_kind_has_cases_of_both_sides():
    for kind in KINDS:
        assert {case["expected"] for case in CASES if case["kind"] == kind} == {True, False}, kind


def test_the_table_of_the_page_is_that_of_the_cases():
    page = (Path(__file__).parents[3] / "docs" / "grading-measured.md").read_text(encoding="utf-8")
    for kind in [*KINDS, "all"]:
        members = [case for case in CASES if kind in ("all", case["kind"])]
        right = sum(case["expected"] for case in members)
        assert f"| {kind} | {right} | {len(members) - right} | 0 | 0 |" in page, kind
