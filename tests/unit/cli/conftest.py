"""A folder with candidates, a fitted surrogate and the truth, to run commands in."""

import shutil

import pytest

from quagpredict.corpus import write_corpus
from quagpredict.surrogates import fit
from quagpredict.surrogates.store import save_surrogate
from quagpredict.testing.synthetic import synthetic_corpus


@pytest.fixture(scope="session")
def corpus():
    return synthetic_corpus(30, seed=1).frame


@pytest.fixture(scope="session")
def template(corpus, tmp_path_factory):
    """``runs/`` (six candidates without RL), ``corpus.parquet`` (all runs), ``model/`` (fitted on the other runs)."""
    folder = tmp_path_factory.mktemp("template")
    fresh = corpus[:6].drop("post_pass_at_1", "post_problems", "rl_recipe_id", "rl_seed")
    for row in fresh.iter_slices(1):
        write_corpus(row, folder / "runs" / f"{row['candidate'].item()}.parquet")
    write_corpus(corpus, folder / "corpus.parquet")
    save_surrogate(fit(corpus[6:]), folder / "model", "# card")
    return folder


@pytest.fixture
def workplace(template, tmp_path, monkeypatch):
    """A copy of the template, as the current folder."""
    folder = tmp_path / "workplace"
    shutil.copytree(template, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "120")
    return folder
