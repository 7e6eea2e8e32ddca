"""`quagpredict search`: what is refused before any training, and what `--check` says. tests/end_to_end trains."""

from pathlib import Path

import pytest
import yaml

from quagpredict.cli import main
from quagpredict.shipped import shipped_path
from quagpredict.surrogates import fit
from quagpredict.surrogates.store import save_surrogate
from quagpredict.testing.synthetic import synthetic_corpus

SPACE = shipped_path("collectors/searches/lab-mixture.yaml")


@pytest.fixture
def changed(tmp_path):
    """Write the shipped space with other top-level keys."""

    def write(**changes):
        path = tmp_path / "space.yaml"
        path.write_text(yaml.safe_dump(yaml.safe_load(SPACE.read_text()) | changes))
        return str(path)

    return write


def complaint(words, capsys):
    code = main(["search", *words])
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    return code, said.err


def test_check_describes_the_space_and_trains_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["search", "collectors/searches/lab-mixture.yaml", "--check"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "lab-mixture: 4096 examples a trial, 8 sources"
    assert "  direct: share 0 to 0.5" in lines
    assert list(tmp_path.iterdir()) == []


def test_check_reads_the_surrogate_too(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["collectors/searches/lab-mixture.yaml", "--check", "--surrogate"]
    code, said = complaint([*words, "nowhere"], capsys)
    assert code == 2
    assert "unknown surrogate 'nowhere'" in said
    save_surrogate(fit(synthetic_corpus(20, seed=1, nested=False).frame), tmp_path / "mine")
    code, said = complaint([*words, "mine"], capsys)
    assert code == 3
    assert "eval protocol" in said
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sources": {"a": {"lab": {}, "min": 0.7}, "b": {"lab": {}, "min": 0.4}}}, "add up to 1.1"),
        ({"sources": {"a": {"lab": {}}, "b": {"lab": {}, "mx": 0.4}}}, "unknown key 'sources.b.mx'; did you mean"),
        ({"score": {"surrogate": "models/lab-pilot", "lower": 0.1}}, "unknown key 'score.lower'"),
    ],
)
def test_a_bad_space_is_refused_in_one_line(tmp_path, changed, capsys, changes, message):
    out = tmp_path / "out"
    code, said = complaint([changed(**changes), "--out", str(out)], capsys)
    assert code == 3
    assert message in said
    assert not out.exists()


@pytest.mark.parametrize(
    ("changes", "words", "code", "message"),
    [
        ({"rl": {"recipe": "training/recipes/qwen3-4b/grpo.yaml"}}, [], 3, "--allow-mixed-protocols"),
        (
            {"base": {"name": "new", "family": "qwen3", "model_name_or_path": "datasets/lab-pilot/bases/weak"}},
            [],
            3,
            "base model new, but the surrogate was fitted on strong, weak",
        ),
        ({"evaluation": None}, [], 3, "evaluation: expected a mapping"),
        ({}, ["--surrogate", "models/none"], 2, "unknown surrogate 'models/none'"),
        ({}, ["--storage", "study.db"], 2, "expected a URL"),
        ({}, ["--warm-start-study", "none"], 2, "no study 'none' in this storage"),
        ({}, ["--rounds", "3"], 2, "verify at least one trial a round"),
        ({}, ["--method", "best"], 2, "invalid choice: 'best'"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_training(tmp_path, changed, capsys, changes, words, code, message):
    out = tmp_path / "out"
    found, said = complaint([changed(**changes), "--out", str(out), *words], capsys)
    assert found == code
    assert message in said
    assert list(out.glob("recipes/*")) == []


def test_the_methods_are_those_of_the_library():
    from quagpredict.cli import search as command
    from quagpredict.mixture_search import study as library

    assert command.METHODS == library.METHODS


def test_the_help_has_an_example(capsys):
    assert main(["search", "--help"]) == 0
    assert "quagpredict search collectors/searches/lab-mixture.yaml --trials 40" in capsys.readouterr().out


def test_the_shipped_space_is_what_its_comment_says():
    assert "quagpredict search collectors/searches/lab-mixture.yaml" in Path(SPACE).read_text()
