"""What is written for the hub is read by the hub's own libraries, and is what it was."""

from pathlib import Path

import polars as pl
import pytest
from datasets import load_dataset
from huggingface_hub import DatasetCard, ModelCard

from quagpredict.cli import main
from quagpredict.corpus import read_corpus
from quagpredict.errors import UsageError
from quagpredict.report.cards import write_hub_folder
from quagpredict.shipped import shipped_path
from quagpredict.surrogates.store import load_surrogate


def test_a_corpus_is_a_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "lab-pilot"
    assert main(["hub", "datasets/lab-pilot", "--out", str(out), "--repo", "me/pilot", "--license", "mit"]) == 0
    assert capsys.readouterr().out == f"hf upload me/pilot {out} . --repo-type dataset\n"
    card = DatasetCard.load(out / "README.md")
    assert card.data.license == "mit"
    assert "50 SFT candidates, 50 of them taken through RL" in card.data.pretty_name
    assert card.text.strip().startswith("# lab-pilot: 50 SFT-RL runs")
    assert "](../" not in card.text  # links of the repository lead nowhere there
    # The default configuration is the corpus, with its nested columns, whatever else lies in the folder.
    rows = load_dataset(str(out), cache_dir=str(tmp_path / "cache"))["train"]
    corpus = read_corpus(shipped_path("datasets/lab-pilot/corpus.parquet"))
    assert rows["candidate"][:] == corpus["candidate"].to_list()
    assert rows["post_pass_at_1"][:] == corpus["post_pass_at_1"].to_list()
    assert rows[3]["pre_problems"] == corpus["pre_problems"][3].to_list()
    assert (out / "candidates").is_dir()


def test_a_table_of_ones_own_is_a_dataset_too(tmp_path: Path) -> None:
    pl.DataFrame({"candidate": ["a", "b"], "pre_pass_at_64": [0.5, 0.6]}).write_csv(tmp_path / "mine.csv")
    made = write_hub_folder(tmp_path / "mine.csv", tmp_path / "out")
    assert made.upload == f"hf upload OWNER/out {tmp_path / 'out'} . --repo-type dataset"
    assert "2 SFT candidates, 0 of them" in DatasetCard.load(made.path / "README.md").data.pretty_name
    assert load_dataset(str(made.path), cache_dir=str(tmp_path / "cache"))["train"]["pre_pass_at_64"][:] == [0.5, 0.6]


@pytest.mark.parametrize("with_card", [True, False])
def test_a_surrogate_is_a_model(tmp_path: Path, with_card: bool) -> None:
    source = tmp_path / "mine"
    source.mkdir()
    for name in ("surrogate.json", *(["card.md"] if with_card else [])):
        (source / name).write_bytes(shipped_path(f"models/lab/{name}").read_bytes())
    made = write_hub_folder(source, tmp_path / "out", repo="me/mixed", license="mit")
    assert (made.kind, made.upload) == ("model", f"hf upload me/mixed {tmp_path / 'out'} .")
    card = ModelCard.load(made.path / "README.md")
    assert (card.data.license, card.data.library_name) == ("mit", "quagpredict")
    assert card.text.strip().startswith("# Surrogate: mixed")
    assert load_surrogate(made.path).corpus_digest == load_surrogate("models/lab").corpus_digest


def test_what_is_there_is_not_written_over(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is there already; name a new folder"):
        write_hub_folder("models/lab", tmp_path)
    with pytest.raises(UsageError, match="repo: expected owner/name, got 'lab'"):
        write_hub_folder("models/lab", tmp_path / "out", repo="lab")
    with pytest.raises(UsageError, match="nowhere"):
        write_hub_folder("nowhere", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_is_not_copied_into_itself(tmp_path: Path) -> None:
    (tmp_path / "own" / "deeper").mkdir(parents=True)
    (tmp_path / "own" / "corpus.parquet").write_bytes(shipped_path("datasets/lab-pilot/corpus.parquet").read_bytes())
    with pytest.raises(UsageError, match="name a folder outside of it"):
        write_hub_folder(tmp_path / "own", tmp_path / "own" / "deeper" / "hub")
    assert not list((tmp_path / "own" / "deeper").iterdir())


def test_a_table_of_two_protocols_and_a_name_with_a_blank_are_no_obstacle(tmp_path: Path) -> None:
    rows = {"candidate": ["a", "b"], "pre_pass_at_1": [0.2, 0.3], "eval_protocol_id": ["p1", "p2"]}
    pl.DataFrame(rows).write_csv(tmp_path / "mine.csv")
    made = write_hub_folder(tmp_path / "mine.csv", tmp_path / "my runs")
    assert made.upload == f"hf upload OWNER/my-runs '{tmp_path / 'my runs'}' . --repo-type dataset"
    assert pl.read_parquet(made.path / "corpus.parquet")["eval_protocol_id"].to_list() == ["p1", "p2"]
