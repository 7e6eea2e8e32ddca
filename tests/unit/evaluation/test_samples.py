"""What a store says that it holds is what its parts hold, however they came about."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from quagpredict.evaluation import drawing, grading, read_samples, score_checkpoint
from quagpredict.evaluation.drawing import missing_samples, problem_key
from quagpredict.evaluation.samples import COLUMNS, SampleStore
from quagpredict.evaluation.sources import Problem

PROBLEMS = [Problem("b", str(number), f"{number}+1?", str(number + 1), None) for number in range(4)]
KEYS = [problem_key(problem) for problem in PROBLEMS]


def row(problem: int, sample: int) -> dict[str, object]:
    values = {"key": KEYS[problem], "benchmark": "b", "problem_id": str(problem), "sample": sample, "seed": sample}
    values |= {"prompt_tokens": 5 + problem, "response": "4", "tokens": [4], "length": 2, "finish_reason": "stop"}
    return values | {"log_prob_sum": -0.1, "entropy_sum": 0.2}


parts = st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 70)), min_size=1, max_size=9), max_size=5)


@given(parts, st.sets(st.sampled_from(KEYS)), st.integers(1, 80))
def test_what_is_there_what_is_missing_and_what_is_read(
    written: list[list[tuple[int, int]]], asked: set[str], count: int
) -> None:
    there = {(KEYS[problem], sample) for part in written for problem, sample in part}
    with TemporaryDirectory() as run, SampleStore(Path(run, "samples"), {"max_new_tokens": 8}, print) as store:
        for part in written:  # samples appear twice, in a part and in several
            store.add(pl.DataFrame([row(*one) for one in part], schema=COLUMNS))
            store.there()
        held = {(key, at) for key, bits in store.there().items() for at in range(bits.bit_length()) if bits >> at & 1}
        assert held == there
        for scanned in (store.scan(), read_samples(run)):
            assert sorted(scanned.select("key", "sample").collect().rows()) == sorted(there)
        expected = sorted(one for one in there if one[0] in asked)
        assert sorted(store.scan(asked).select("key", "sample").collect().rows()) == expected
        assert store.prompt_tokens() == {key: 5 + KEYS.index(key) for key, _ in there}
        runs = list(missing_samples(store, dict.fromkeys(PROBLEMS, count)))
        missing = [(problem_key(problem), first + at) for problem, first, length in runs for at in range(length)]
        assert sorted(missing) == sorted({(key, at) for key in KEYS for at in range(count)} - there)


def test_groups_parts_and_benchmarks_do_not_change_what_is_graded(
    suite, tmp_path, checkpoint, known, monkeypatch
) -> None:
    problems = [replace(one, benchmark="xy"[at % 2]) for at, one in enumerate(suite.problems)]
    mixed = replace(suite, problems=tuple(problems))
    whole = score_checkpoint(checkpoint, mixed, samples=8)
    monkeypatch.setattr(drawing, "_PART_SAMPLES", 7)
    monkeypatch.setattr(grading, "_SAMPLES", 17)
    pieces = score_checkpoint(checkpoint, mixed, samples=8, out=tmp_path / "run")
    assert pieces.samples.equals(whole.samples)
    assert pieces.measurement == whole.measurement
    assert whole.samples["benchmark"].n_unique() == 2
