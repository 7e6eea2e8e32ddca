import json

from quagpredict import cli
from quagpredict.corpus import read_corpus, read_provenance


def test_an_import_is_written_and_ranks(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, c in (("a", 3), ("b", 1)):
        (tmp_path / f"{name}.csv").write_text(f"id,n,c\np,8,{c}\nq,8,{c + 2}\n")
        words = [
            "import",
            "auto",
            f"{name}.csv",
            "--candidate",
            name,
            "--suite",
            "toy",
            "--out",
            f"runs/{name}.parquet",
        ]
        assert cli.main(words) == 0
    shown = capsys.readouterr()
    assert "Pass@8    1.0000" in shown.out
    assert "wrote runs/b.parquet" in shown.err
    frame = read_corpus("runs/*.parquet")
    assert frame["pre_pass_at_1"].to_list() == [0.5, 0.25]
    assert frame["eval_protocol_id"].n_unique() == 1
    assert read_provenance("runs/a.parquet")["imported_from"] == "counts"
    assert cli.main(["rank", "--candidates", "runs/*.parquet", "--surrogate", "none", "--format", "csv"]) == 0


def test_json_and_refusal(tmp_path, capsys):
    file = tmp_path / "a.csv"
    file.write_text("id,n,c\np,8,3\nq,4,1\n")
    words = ["import", "counts", str(file), "--candidate", "a", "--out", str(tmp_path / "a.parquet")]
    assert cli.main(words) == 3
    assert "--allow-ragged" in capsys.readouterr().err
    assert not (tmp_path / "a.parquet").exists()
    assert cli.main([*words, "--allow-ragged", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["values"]["samples_per_problem"] == 4
