"""A folder with candidates, a fitted surrogate and the truth, to run commands in."""

import pytest

from quagpredict.corpus import write_corpus
from quagpredict.surrogates import fit
from quagpredict.surrogates.store import save_surrogate
from quagpredict.validation.synthetic import synthetic_corpus


@pytest.fixture(scope="session")
def corpus():
    return synthetic_corpus(30, seed=1).frame


@pytest.fixture
def workplace(corpus, tmp_path, monkeypatch):
    """``runs/`` (six candidates without RL), ``corpus.parquet`` (all runs), ``model/`` (fitted on the other runs)."""
    fresh = corpus[:6].drop("post_pass_at_1", "post_problems", "rl_recipe_id", "rl_seed")
    for row in fresh.iter_slices(1):
        write_corpus(row, tmp_path / "runs" / f"{row['candidate'].item()}.parquet")
    write_corpus(corpus, tmp_path / "corpus.parquet")
    save_surrogate(fit(corpus[6:]), tmp_path / "model", "# card")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path
