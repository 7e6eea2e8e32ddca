"""``quagpredict fit`` and ``quagpredict validate`` from end to end."""

import json

import numpy as np
import polars as pl
import pytest

from quagpredict.cli import main
from quagpredict.surrogates.store import load_surrogate


def test_fit_stores_a_surrogate_that_ranks(workplace, capsys):
    assert main(["fit", "corpus.parquet", "--out", "mine", "--repeats", "5"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "on 30 candidates" in captured.err
    assert load_surrogate("mine").features == ("pre_held_out_loss_nats", "pre_pass_at_64")
    card = (workplace / "mine" / "card.md").read_text(encoding="utf-8")
    assert "| fitted on | 30 finished candidates" in card
    assert "### all, random-halves, 30 candidates" in card
    assert "| 90 % intervals | conformal, 10 folds, 30 runs: ± " in card
    assert "- linear:both (all, random-halves)" in card
    assert "% of the noise ceiling" in card
    assert load_surrogate("mine").calibration.rows == 30
    assert main(["rank", "--candidates", "runs", "--surrogate", "mine"]) == 0


@pytest.mark.parametrize(
    ("words", "features"),
    [
        (["--features", "pass_at_8"], ("pre_pass_at_8",)),
        (["--features", "loss", "pre_pass_at_1"], ("pre_held_out_loss_nats", "pre_pass_at_1")),
        (["--surrogate", "mean"], ()),
    ],
)
def test_fit_options(words, features, workplace):
    assert main(["fit", "corpus.parquet", "--out", "mine", "--repeats", "0", *words]) == 0
    fitted = load_surrogate("mine")
    assert fitted.features == features or fitted.name == "mean"
    assert "None was made." in (workplace / "mine" / "card.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["fit", "corpus.parquet"], 2, "required: --out"),
        (["fit", "corpus.parquet", "--out", "m", "--surrogate", "oracle"], 2, "unknown surrogate 'oracle'"),
        (["fit", "corpus.parquet", "--out", "m", "--features", "nope"], 3, "column 'nope' is missing"),
        (["fit", "runs", "--out", "m"], 3, "post_pass_at_1"),
        (["validate", "none/*.parquet"], 4, "no file matches"),
        (["validate", "runs"], 3, "post_pass_at_1"),
        (["validate", "corpus.parquet", "--protocol", "guess"], 2, "unknown protocol 'guess'"),
        (["validate", "corpus.parquet", "--figure", "a.png"], 2, "add --curve or --sensitivity"),
        (["validate", "corpus.parquet", "--curve", "--figure", "a.bmp"], 2, "must end in .png, .svg, .pdf"),
        (["validate", "corpus.parquet", "--design", "random"], 2, "add --curve"),
        (["validate", "corpus.parquet", "--curve", "--sensitivity"], 2, "not allowed with"),
    ],
)
def test_what_is_refused(words, code, said, workplace, capsys):
    assert main(words) == code
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert said in captured.err
    assert not (workplace / "m").exists()


def test_validate_prints_the_scores_of_surrogates_and_baselines(workplace, capsys):
    words = ["validate", "corpus.parquet", "--repeats", "5", "--protocol", "random-halves"]
    assert main(words) == 0
    shown = capsys.readouterr().out
    texts = ("all, random-halves, 30 candidates", "linear:both", "linear:pass_at_1", "mean", "Spearman", "±")
    for text in (*texts, "one rule alone", "Best of", "of the noise ceiling"):
        assert text in shown
    assert main([*words, "--format", "json", "--out", "scores.csv"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["candidates"] == 30
    written = pl.read_csv("scores.csv")
    assert written.height == len(value["scores"])


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_keeps_to_the_width(width, workplace, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    assert main(["validate", "corpus.parquet", "--repeats", "5", "--protocol", "random-halves"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= width


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("words", [["--curve", "--repeats", "3"], ["--sensitivity"]])
def test_curves_keep_to_the_width(words, width, workplace, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    assert main(["validate", "corpus.parquet", *words, "--out", "curve.csv", "--figure", "curve.svg"]) == 0
    captured = capsys.readouterr()
    assert max(map(len, captured.out.splitlines())) <= width
    assert "candidates" in captured.out
    assert pl.read_csv("curve.csv").height
    assert (workplace / "curve.svg").stat().st_size > 1000


def test_a_table_of_anyone(workplace, capsys):
    pl.DataFrame(
        {
            "candidate": [f"m{i}" for i in range(20)],
            "web": [i / 20 for i in range(20)],
            "loss": [i**2 for i in range(20)],
        }
    ).write_csv("mixtures.csv")
    words = ["validate", "mixtures.csv", "--features", "web", "--target", "loss", "--minimize", "--surrogate", "ridge"]
    assert main([*words, "--protocol", "random-halves", "--repeats", "3", "--format", "csv"]) == 0
    assert "ridge" in capsys.readouterr().out


@pytest.mark.parametrize("features", ["all-numeric", "w_.*"])
def test_any_table_by_pattern(features, tmp_path, capsys):
    weights = np.random.default_rng(0).dirichlet(np.ones(4), 30)
    table = pl.DataFrame({"candidate": [f"m{i}" for i in range(30)]} | {f"w_{j}": weights[:, j] for j in range(4)})
    path = tmp_path / "mixtures.csv"
    table.with_columns(loss=2 - pl.col("w_1") + 0.1 * pl.col("w_2") ** 2).write_csv(path)
    argv = ["fit", str(path), "--surrogate", "ridge", "--features", features, "--target", "loss", "--minimize"]
    assert main([*argv, "--repeats", "3", "--out", str(tmp_path / "out")]) == 0
    assert "fitted 'ridge' of w_0, w_1, w_2, w_3 on 30 candidates" in capsys.readouterr().err
    assert f"ridge:{features}" in (tmp_path / "out" / "card.md").read_text()


def test_a_spreadsheet_of_finished_runs_is_read_as_rank_reads_it(corpus, tmp_path, capsys, monkeypatch):
    """Own headers and per cent: `fit`, `validate` and `audit` say what they took, or the whole command to try."""
    monkeypatch.chdir(tmp_path)
    headers = {"candidate": "run", "pre_pass_at_1": "Pass@1", "pre_pass_at_64": "Pass@64", "post_pass_at_1": "after RL"}
    own = corpus.select(*headers).rename(headers).with_columns(pl.selectors.numeric() * 100)
    own.write_csv("mine.csv")
    words = {
        "audit": ["audit", "mine.csv"],
        "fit": ["fit", "mine.csv", "--surrogate", "linear:pass_at_64", "--repeats", "0", "--out", "mine"],
        "validate": ["validate", "mine.csv", "--surrogate", "linear:pass_at_64", "--repeats", "5"],
    }
    for command in words.values():
        monkeypatch.setattr("sys.argv", ["quagpredict", *command])
        assert main(command) == 3
        assert f"if it is: quagpredict {' '.join(command)} --percent" in capsys.readouterr().err
        assert main([*command, "--percent"]) == 0
        assert "note: mine.csv: read 'Pass@1' as pre_pass_at_1" in capsys.readouterr().err
    plain = corpus.select(*headers)
    plain.write_csv("plain.csv")
    assert main(["fit", "plain.csv", *words["fit"][2:-1], "plain"]) == 0
    folders = [load_surrogate(name).predict_frame(plain).mean for name in ("mine", "plain")]
    np.testing.assert_allclose(*folders, rtol=1e-9)
