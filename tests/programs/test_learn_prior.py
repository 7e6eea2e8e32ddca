"""The prior of the default surrogate is learnt from corpora, and from none that is left out."""

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from quagpredict.corpus import read_corpus
from quagpredict.errors import UsageError
from quagpredict.shipped import shipped_path
from quagpredict.surrogates.stored_prior import LEVELS, load_prior

PILOT, SECOND = shipped_path("datasets/lab-pilot"), shipped_path("datasets/lab-2")


@pytest.fixture(scope="module")
def program() -> dict[str, Any]:
    return runpy.run_path(str(shipped_path("training/learn_prior.py")))


@pytest.fixture(scope="module")
def learn(program: dict[str, Any]) -> Callable[[list[str]], None]:
    found: Callable[[list[str]], None] = program["main"]
    return found


def test_a_corpus_that_is_left_out_leaves_no_trace(learn: Callable[[list[str]], None], tmp_path: Path) -> None:
    learn([str(tmp_path / "without"), str(PILOT), str(SECOND), "--without", "lab-2"])
    learn([str(tmp_path / "alone"), str(PILOT)])
    without, alone = (tmp_path / name / "prior.json" for name in ("without", "alone"))
    assert without.read_bytes() == alone.read_bytes()
    prior = load_prior(tmp_path / "alone")
    assert (prior.corpora, prior.bases, prior.rl_steps) == (("lab-pilot",), 2, (200.0,))
    assert set(prior.levels) == set(LEVELS)
    for level in prior.levels.values():
        assert (level.mean[1:] >= 0).all()
        assert np.linalg.eigvalsh(level.covariance).min() > 0


def test_held_out_rows_are_not_learnt_from(program: dict[str, Any]) -> None:
    runs = read_corpus(PILOT / "corpus.parquet")
    fit = runs.filter(pl.col("split") == "fit")
    assert fit.height < runs.height
    one, other = (program["learnt"]({"lab-pilot": table}) for table in (runs, fit))
    for level in LEVELS:
        assert np.array_equal(one.levels[level].mean, other.levels[level].mean)


@pytest.mark.parametrize(
    ("left_out", "said"),
    [("lab-9", "--without lab-9: not among the corpora lab-pilot"), ("lab-pilot", "--without leaves no corpus")],
)
def test_what_cannot_be_left_out_is_said(
    learn: Callable[[list[str]], None], tmp_path: Path, left_out: str, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        learn([str(tmp_path), str(PILOT), "--without", left_out])
