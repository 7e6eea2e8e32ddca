"""What is packed on one machine is done on the next."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from quagpredict.cli import main
from quagpredict.collection.archive import pack, unpack
from quagpredict.collection.collecting import collect
from quagpredict.collection.ledger import read_ledger
from quagpredict.errors import InvalidDataError
from quagpredict.plan import Plan

WritePlan = Callable[..., Path]
GRID = {"data": "broad", "unique_examples": 16, "learning_rate": 1e-3, "seed": 0, "scenario": "dataset-level"}


@pytest.fixture
def file(write_plan: WritePlan, tmp_path: Path) -> Path:
    bases = {name: {"family": "qwen3", "pretrain": {"steps": steps}} for name, steps in (("weak", 5), ("strong", 6))}
    both = ["weak", "strong"]
    entries = [{"base": both, **GRID, "epochs": 4, "checkpoint_epochs": [1]}, {"base": both, "no_sft": True}]
    (tmp_path / "rl.yaml").write_text("max_steps: 7")
    rl = {"recipe": str(tmp_path / "rl.yaml"), "measure_at": [3]}
    return write_plan(bases=bases, candidates=entries, rl=rl)


@pytest.mark.usefixtures("inline")
def test_a_whole_collection_goes_on_elsewhere_with_nothing_to_do(file: Path, tmp_path: Path) -> None:
    plan = Plan.from_yaml(file)
    collect(plan, tmp_path / "here")
    archives = pack(plan, tmp_path / "here", tmp_path / "shipped")
    assert [path.name for path in archives] == ["records-weak.parquet", "records-strong.parquet"]
    attempts = len(read_ledger(tmp_path / "here" / "ledger.jsonl"))
    assert unpack(archives, tmp_path / "there") == attempts
    assert unpack(archives, tmp_path / "there") == 0
    summary = collect(plan, tmp_path / "there")
    assert summary.left == 0
    assert len(read_ledger(tmp_path / "there" / "ledger.jsonl")) == attempts
    assert (tmp_path / "there" / "corpus.parquet").read_bytes() == (tmp_path / "here" / "corpus.parquet").read_bytes()
    corpus = pl.read_parquet(tmp_path / "there" / "corpus.parquet")
    assert [point["step"] for point in corpus["post_curve"][0]] == [0, 3, 7]


@pytest.mark.usefixtures("inline")
def test_a_part_is_packed_and_the_rest_is_done_elsewhere(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = Plan.from_yaml(file)
    collect(plan, tmp_path / "whole")
    collect(plan, tmp_path / "here", limit=3)
    archives = [str(path) for path in pack(plan, tmp_path / "here", tmp_path / "shipped")]
    assert main(["collect", str(file), "--out", str(tmp_path / "there"), "--records", *archives]) == 0
    assert "stages taken from the archives" in capsys.readouterr().err
    ours, theirs = (
        pl.read_parquet(tmp_path / name / "corpus.parquet").select(pl.exclude("^cost_.*$"))
        for name in ("there", "whole")
    )
    assert ours.equals(theirs)
    ledger = [attempt.stage for attempt in read_ledger(tmp_path / "there" / "ledger.jsonl")]
    assert len(ledger) == len(set(ledger))


@pytest.mark.usefixtures("inline")
def test_a_candidate_that_is_only_begun_is_left_out(file: Path, tmp_path: Path) -> None:
    plan = Plan.from_yaml(file)
    collect(plan, tmp_path / "here", limit=2)  # both bases' whole SFT runs, whose checkpoints are candidates too
    assert pack(plan, tmp_path / "here", tmp_path / "shipped") == []
    collect(plan, tmp_path / "here", limit=1)
    (path,) = pack(plan, tmp_path / "here", tmp_path / "shipped")
    assert {stage.partition(".")[0] for stage in pl.read_parquet(path)["stage"]} >= {"base/weak", "sft/weak"}
    lines = (tmp_path / "here" / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "here" / "ledger.jsonl").write_bytes(b"".join(lines[:-1]))
    assert pack(plan, tmp_path / "here", tmp_path / "shipped") == []


def test_what_is_no_archive_is_refused(file: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"no parquet")
    with pytest.raises(InvalidDataError, match=r"broken\.parquet: cannot be read"):
        unpack([broken], tmp_path / "work")
    pl.DataFrame({"stage": ["a"]}).write_parquet(broken)
    with pytest.raises(InvalidDataError, match="not an archive of a collection"):
        unpack([broken], tmp_path / "work")


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize("stage", ["base/../../evil", "../evil", "evil", "base/"])
def test_an_archive_writes_nowhere_else(file: Path, tmp_path: Path, stage: str) -> None:
    plan = Plan.from_yaml(file)
    collect(plan, tmp_path / "here", limit=3)
    (path,) = pack(plan, tmp_path / "here", tmp_path / "shipped")
    frame = pl.read_parquet(path)
    old = frame["stage"][0]
    lie = frame.with_columns(
        stage=pl.col("stage").replace(old, stage),
        attempt=pl.col("attempt").str.replace(f'"stage":"{old}"', f'"stage":"{stage}"', literal=True),
    )
    lie.write_parquet(path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InvalidDataError, match="is not a stage, or a file in it has no plain name"):
        unpack([path], tmp_path / "here")
    assert sorted(tmp_path.rglob("*")) == before
