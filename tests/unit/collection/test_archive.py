"""What is packed on one machine is done on the next."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from quagpredict.cli import main
from quagpredict.collection import planned_commands
from quagpredict.collection.archive import pack, unpack
from quagpredict.collection.collecting import collect
from quagpredict.collection.ledger import read_ledger
from quagpredict.errors import InvalidDataError
from quagpredict.plans.plan import Plan

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
    told = planned_commands(plan, tmp_path / "there", records=archives)
    assert {state for _, state, _ in told} == {"done"}
    assert {state for _, state, _ in planned_commands(plan, tmp_path / "there", records=archives[:1])} == {
        "done",
        "ready",
        "waiting",
    }
    assert not (tmp_path / "there").exists()
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
    # Only the SFT run of which a checkpoint is still to be measured is made twice: archives hold no weights.
    assert [stage for stage, times in Counter(ledger).items() if times > 1] == ["sft/strong.broad-16x4-lr0.001-s0"]


@pytest.mark.usefixtures("inline")
def test_an_archive_holds_what_is_measured_and_waits_for_rl(file: Path, tmp_path: Path) -> None:
    plan = Plan.from_yaml(file)
    collect(plan, tmp_path / "whole")
    here = tmp_path / "here"
    collect(plan, here, until="sft")
    assert pack(plan, here, tmp_path / "shipped") == []  # nothing is measured
    collect(plan, here, until="evaluate-pre", only=["weak.*"])
    (path,) = pack(plan, here, tmp_path / "shipped")
    kinds = [stage.partition("/")[0] for stage in pl.read_parquet(path)["stage"]]
    assert Counter(kinds) == {"base": 1, "sft": 1, "evaluate-pre": 3}

    there = tmp_path / "there"
    unpack([path], there)
    assert collect(plan, there, until="evaluate-pre", only=["weak.*"]).left == 0
    ledger = len(read_ledger(there / "ledger.jsonl"))
    assert pl.read_parquet(there / "corpus.parquet")["post_pass_at_1"].null_count() == 3
    collect(plan, there)  # RL needs the weights, which no archive holds
    again = [attempt.stage for attempt in read_ledger(there / "ledger.jsonl")[ledger:]]
    assert [stage for stage in again if stage.startswith("sft/weak")] == ["sft/weak.broad-16x4-lr0.001-s0"]
    assert not [stage for stage in again if stage.startswith(("base/weak", "evaluate-pre/weak"))]
    ours, theirs = (
        pl.read_parquet(folder / "corpus.parquet").select(pl.exclude("^cost_.*$"))
        for folder in (there, tmp_path / "whole")
    )
    assert ours.equals(theirs)


@pytest.mark.usefixtures("inline")
def test_weights_that_are_made_again_must_be_what_they_were(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, work = Plan.from_yaml(file), tmp_path / "work"
    collect(plan, work, until="evaluate-pre")
    sft = "sft/weak.broad-16x4-lr0.001-s0"
    record = (work / "stages" / sft / "record.json").read_bytes()
    for part in (work / "stages" / sft).rglob("model.safetensors"):
        part.unlink()
    monkeypatch.setenv("STAND_IN_MACHINE", "another")
    summary = collect(plan, work, only=["weak.broad*"])
    (failed,) = summary.failed
    assert failed.stage == sft
    assert set(summary.blocked) >= {"grpo/weak.broad-16x4-lr0.001-s0.rl-s0"}
    said = (work / failed.log).read_text()
    assert "model.safetensors was made again and is not what it was: SHA-256" in said
    assert (work / "stages" / sft / "record.json").read_bytes() == record
    corpus = pl.read_parquet(work / "corpus.parquet")
    assert corpus.height == 6  # what was measured stays
    monkeypatch.delenv("STAND_IN_MACHINE")
    assert collect(plan, work, only=["weak.broad*"], retry_failed=True).failed == ()


def test_what_is_no_archive_is_refused(file: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"no parquet")
    with pytest.raises(InvalidDataError, match=r"broken\.parquet: this is no valid parquet file"):
        unpack([broken], tmp_path / "work")
    pl.DataFrame({"stage": ["a"]}).write_parquet(broken)
    with pytest.raises(InvalidDataError, match="not an archive of a collection"):
        unpack([broken], tmp_path / "work")


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize("stage", ["base/../../evil", "../evil", "evil", "base/"])
def test_an_archive_writes_nowhere_else(file: Path, tmp_path: Path, stage: str) -> None:
    plan = Plan.from_yaml(file)
    collect(plan, tmp_path / "here", only=["weak.*"])
    (path,) = pack(plan, tmp_path / "here", tmp_path / "shipped")
    frame = pl.read_parquet(path)
    old = frame["stage"][0]
    lie = frame.with_columns(
        stage=pl.col("stage").replace(old, stage),
        attempt=pl.col("attempt").str.replace(f'"stage":"{old}"', f'"stage":"{stage}"', literal=True),
    )
    lie.write_parquet(path)
    shutil.rmtree(tmp_path / "here/claims")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InvalidDataError, match="is not a stage, or a file in it has no plain name"):
        unpack([path], tmp_path / "here")
    shutil.rmtree(tmp_path / "here/claims")  # it said that it worked there
    assert sorted(tmp_path.rglob("*")) == before
