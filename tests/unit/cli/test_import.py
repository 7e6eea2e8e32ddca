import json
import shlex

from quagpredict import cli
from quagpredict.cli.import_ import KNOWN
from quagpredict.corpus import read_corpus, read_provenance
from quagpredict.importers import FORMATS


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


def test_many_candidates_in_one_call(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, c in (("base", 1), ("mix-a", 3), ("mix-b", 5)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "aime.csv").write_text(f"id,n,c\np,8,{c}\nq,8,{c + 2}\n")
    (tmp_path / "losses.csv").write_text("candidate,loss\nbase,1.0\nmix-a,0.8\nmix-b,0.9\n")
    named = [f"{name}={name}" for name in ("base", "mix-a", "mix-b")]
    words = ["import", "auto", *named, "--base", "base", "--loss", "losses.csv", "--out", "runs.parquet"]
    assert cli.main(words) == 0
    shown = capsys.readouterr()
    assert "held-out loss 0.8000 nats/token" in shown.out
    assert "Pass@8 over that of the base, 2 problems: 1.0000, 90 % 1.0000 to 1.0000" in shown.out
    assert shown.err.count("--protocol") == 1
    frame = read_corpus("runs.parquet")
    assert frame["candidate"].to_list() == ["base", "mix-a", "mix-b"]
    assert cli.main(["import", "auto", "mix-*", "--each", "--out", "two.parquet", "--format", "json"]) == 0
    assert [one["candidate"] for one in json.loads(capsys.readouterr().out)] == ["mix-a", "mix-b"]
    assert cli.main(["rank", "--candidates", "runs.parquet", "--surrogate", "none", "--format", "csv"]) == 0


def test_what_has_to_be_decided_is_one_refusal_with_the_whole_command(tmp_path, monkeypatch, capsys):
    record = {"doc_id": 0, "target": "4", "filtered_resps": ["4"], "metrics": ["exact_match"], "exact_match": 1.0}
    lines = [json.dumps({**record, "resps": [["so 4", "so 5"]], "filter": name}) for name in ("strict", "flexible")]
    file = tmp_path / "samples_toy.jsonl"
    file.write_text("\n".join(lines) + "\n")
    words = ["import", "lm-eval", str(file), "--candidate", "a", "--out", str(tmp_path / "a.parquet")]
    monkeypatch.setattr("sys.argv", ["quagpredict", *words])
    assert cli.main(words) == 3
    said = capsys.readouterr().err
    command = said.split("the whole command: quagpredict ")[1]
    assert command == f"{shlex.join(words)} --regrade\n"
    assert cli.main([*shlex.split(command), "--no-symbolic"]) == 0


def test_options_are_spelt_as_flags(tmp_path, capsys):
    file = tmp_path / "a.csv"
    file.write_text("id,n,c\np,8,3\n")
    out = ["--out", str(tmp_path / "a.parquet")]
    for words, message in (
        (["counts", str(file), *out], "which candidate is"),
        (["counts", str(file), "--candidate", "a", "--each", *out], "give one of them"),
        (["counts", str(file), "--candidate", "a", "--filter", "x", *out], "--filter goes with lm-eval only"),
        (["counts", f"a={file}", f"b={file}", "--loss", "0.5", *out], "there are 2 candidates: give a table of losses"),
        (["counts", str(file), "--candidate", "a", "--loss", "none.csv", *out], "there is no such file"),
    ):
        assert cli.main(["import", *words]) == 2
        assert message in capsys.readouterr().err
    assert cli.main(["import", "counts", str(file), "--candidate", "a", "--loss", "0.5", *out]) == 0
    assert read_corpus(tmp_path / "a.parquet")["pre_held_out_loss_nats"].item() == 0.5


def test_control_characters_of_a_file_do_not_reach_the_terminal(tmp_path, capsys):
    file = tmp_path / "a.jsonl"
    rows = [{"task_id": f"H\x1b[31m/{task}", "completion": "x", "passed": True} for task in (1, 1, 2)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["import", "auto", str(file), "--candidate", "a\x1b[31m", "--out", str(tmp_path / "a.parquet")]
    assert cli.main([*words, "--allow-ragged"]) == 0
    shown = capsys.readouterr()
    assert "\x1b" not in shown.out + shown.err


def test_the_formats_of_the_command_are_those_of_the_library():
    assert ("auto", *FORMATS) == KNOWN
