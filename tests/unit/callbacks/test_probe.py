import pytest

from quagpredict.callbacks.probe import probe_of
from quagpredict.errors import UsageError
from quagpredict.evaluation import read_suite

SUITE = "collectors/suites/lab-pilot.yaml"


@pytest.mark.parametrize("problems", [1, 7, 10_000])
def test_a_probe_has_so_many_of_each_benchmark_in_the_suites_order(problems: int) -> None:
    suite = read_suite(SUITE)
    probe = probe_of(suite, problems)
    for benchmark in {problem.benchmark for problem in suite.problems}:
        own = [problem for problem in probe.problems if problem.benchmark == benchmark]
        whole = [problem for problem in suite.problems if problem.benchmark == benchmark]
        assert len(own) == min(problems, len(whole))
        assert own == [problem for problem in whole if problem in own]
    assert probe.held_out == suite.held_out


def test_a_probe_has_at_least_one_problem() -> None:
    with pytest.raises(UsageError, match="problems=0"):
        probe_of(SUITE, 0)
