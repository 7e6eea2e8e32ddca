"""A short run of tests/long/fuzz_grader.py; the long one is started by hand."""

import importlib.util
from collections import Counter
from pathlib import Path

import pytest

from quagpredict.answers import GradingPolicy

LONG = Path(__file__).parents[2] / "long" / "fuzz_grader.py"


@pytest.fixture(scope="module")
def fuzzer():
    spec = importlib.util.spec_from_file_location("fuzz_grader", LONG)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_hostile_answers_are_never_correct_and_spoil_no_other(fuzzer):
    report = fuzzer.fuzz(300, 7, GradingPolicy(symbolic=True))
    assert report.answers == sum(sum(verdicts.values()) for verdicts in report.verdicts.values()) == 300
    assert set(report.verdicts) == {kind for kind, *_ in fuzzer.hostile_answers.KINDS}
    assert report.wrongly_correct == []
    assert report.wrongly_refused == []
    assert not report.executed
    assert 0 < report.watch.resident_mib[0] <= 512


def test_the_fuzz_sees_what_it_looks_for(fuzzer):
    report = fuzzer.Report(wrongly_correct=[fuzzer.hostile_answers.case(0, 0)], executed=True)
    report.watch.note("worker_s", 6.0, "x")
    report.watch.note("resident_mib", 600.0, "x")
    assert len(report.faults()) == 4
    assert fuzzer.Report().faults() == []


def test_cases_are_the_same_for_the_same_seed(fuzzer):
    case = fuzzer.hostile_answers.case
    assert [case(3, at) for at in range(50)] == [case(3, at) for at in range(50)]
    assert case(3, 1) != case(4, 1)
    truths = Counter(case(3, at).truth for at in range(500))
    assert truths[False] > 300
    assert truths[True] > 10
