"""A small part of a suite, that is measured again and again."""

from dataclasses import replace
from pathlib import Path

from quagpredict.errors import UsageError
from quagpredict.evaluation.suite import Suite, read_suite


def probe_of(suite: Suite | str | Path, problems: int) -> Suite:
    """Return a suite with some problems of each benchmark, evenly spread over it, and all of its held-out solutions.

    Parameters
    ----------
    suite : Suite or path
    problems : int
        Of each benchmark, at least 1; a benchmark with fewer keeps all.

    Examples
    --------
    >>> small = probe_of("collectors/suites/lab-pilot.yaml", 5)
    >>> len(small.problems), len({problem.benchmark for problem in small.problems})
    (15, 3)
    """
    if problems < 1:
        raise UsageError(f"problems={problems}: expected a whole number of at least 1")
    whole = suite if isinstance(suite, Suite) else read_suite(suite)
    of: dict[str, list[int]] = {}
    for at, problem in enumerate(whole.problems):
        of.setdefault(problem.benchmark, []).append(at)
    kept = {own[i * len(own) // min(problems, len(own))] for own in of.values() for i in range(min(problems, len(own)))}
    return replace(whole, problems=tuple(problem for at, problem in enumerate(whole.problems) if at in kept))
