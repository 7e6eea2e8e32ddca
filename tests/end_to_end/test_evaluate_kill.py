"""An evaluation that is killed with SIGKILL, again and again, has the samples of one that nobody disturbed."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from quagpredict.shipped import shipped_path

KILLS = 20
PROBLEMS = 8
SAMPLES = 32
SUITE = """
name: tiny
benchmarks: [{name: plain, lab: {problems: 8, seed: 1, data: {operators: "+-", lengths: [1, 2]}}}]
held_out: {lab: {problems: 8, seed: 2, data: {operators: "+-", lengths: [1, 2]}}}
sampling: {temperature: 1.0, top_p: 1.0, top_k: 0, max_new_tokens: 16}
grading: {extraction: last_digits, digits: 3}
"""


class Zygote:
    """Runs `quagpredict evaluate` in forks of one process that has imported it; a whole evaluation is killed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        command = [sys.executable, str(Path(__file__).with_name("evaluate_zygote.py"))]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)

    def start(self, run: Path) -> int:
        assert self._process.stdin is not None
        base = str(shipped_path("datasets/lab-pilot/bases/weak"))
        words = ["evaluate", base, "--suite", str(self._folder / "suite.yaml"), "--samples", str(SAMPLES)]
        words += ["--out", str(run), "--batch-size", "32", "--engine", "transformers", "--format", "csv"]
        request = {"words": words, "log": str(self._folder / "said.log")}
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        return int(self._said()["pid"])

    def wait(self) -> int:
        return int(self._said()["code"])

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()

    def _said(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


@pytest.fixture
def zygote(tmp_path: Path) -> Iterator[Zygote]:
    (tmp_path / "suite.yaml").write_text(SUITE)
    started = Zygote(tmp_path)
    yield started
    started.close()


def samples_of(run: Path) -> pl.DataFrame:
    """Return every row of every part, as the parts have them: a sample that was drawn twice would stand there twice."""
    return pl.concat(map(pl.read_parquet, run.glob("samples/*/part-*.parquet"))).sort("problem_id", "sample")


def test_twenty_kills(tmp_path: Path, zygote: Zygote) -> None:
    chance = random.Random(20251124)
    undisturbed = tmp_path / "undisturbed"
    zygote.start(undisturbed)
    assert zygote.wait() == 0
    started = time.monotonic()
    zygote.start(tmp_path / "timed")
    assert zygote.wait() == 0
    seconds = time.monotonic() - started
    expected = samples_of(undisturbed)
    assert expected.height == PROBLEMS * SAMPLES
    kills = begun = parts_at_kills = 0
    while kills < KILLS:
        run = tmp_path / f"disturbed-{begun}"
        begun += 1
        code = -signal.SIGKILL
        while code != 0:
            process = zygote.start(run)
            if kills < KILLS:
                time.sleep(chance.uniform(0, 1.1 * seconds))
                with contextlib.suppress(ProcessLookupError):  # it has ended just now
                    os.kill(process, signal.SIGKILL)
            code = zygote.wait()
            assert code in (0, -signal.SIGKILL), (tmp_path / "said.log").read_text()
            kills += code != 0
            parts_at_kills += len(list(run.glob("samples/*/part-*.parquet"))) if code else 0
        drawn = samples_of(run)
        numbers = ["log_prob_sum", "entropy_sum"]  # the same up to the rounding of another batch
        assert drawn.drop(numbers).equals(expected.drop(numbers))
        for name in numbers:
            assert drawn[name].to_list() == pytest.approx(expected[name].to_list(), abs=1e-3)
        assert pl.read_parquet(run / "grades.parquet").equals(pl.read_parquet(undisturbed / "grades.parquet"))
        counted = json.loads((run / "summary.json").read_text())["measurement"]
        assert counted == pytest.approx(json.loads((undisturbed / "summary.json").read_text())["measurement"], abs=1e-4)
        assert not list(run.rglob(".*.aside"))
    assert parts_at_kills > KILLS  # kills fell between parts, not only before the first
