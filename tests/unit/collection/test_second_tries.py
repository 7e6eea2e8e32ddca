"""Stages that are started again: their GPU had no more memory, or their machine was lost."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from quagpredict.collection.collecting import collect
from quagpredict.collection.ledger import Attempt, read_ledger
from quagpredict.plans.plan import Plan

WritePlan = Callable[..., Path]
GRPO, POST = "grpo/weak.no-sft.rl-s0", "evaluate-post/weak.no-sft.rl-s0"


def attempts_at(work: Path, stage: str) -> list[Attempt]:
    return [attempt for attempt in read_ledger(work / "ledger.jsonl") if attempt.stage == stage]


@pytest.fixture
def plan(write_plan: WritePlan, tmp_path: Path) -> Plan:
    (tmp_path / "rl.yaml").write_text("max_steps: 7\nper_device_train_batch_size: 16")
    suite = str(tmp_path / "suite.yaml")
    evaluation = {"suite": suite, "samples_before": 8, "samples_after": 4, "batch_size": 12}
    return Plan.from_yaml(write_plan(candidates=[{"base": "weak", "no_sft": True}], evaluation=evaluation))


@pytest.mark.usefixtures("inline")
def test_a_stage_that_runs_out_of_gpu_memory_is_tried_once_more_with_half_the_batch(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STAND_IN_GPU_HOLDS", "8")
    summary = collect(plan, tmp_path / "work")
    assert (summary.left, summary.failed) == (0, ())
    first, second = attempts_at(tmp_path / "work", GRPO)
    assert (first.status, first.half_batch_next, second.status, second.half_batch_next) == (
        "failed",
        True,
        "done",
        False,
    )
    assert "per_device_train_batch_size" in first.config
    assert first.config["per_device_train_batch_size"] == 16
    assert second.config["per_device_train_batch_size"] == 8
    assert second.config["gradient_accumulation_steps"] == 2
    assert second.key == first.key
    assert [attempt.config["batch_size"] for attempt in attempts_at(tmp_path / "work", POST)] == [12, 6]
    said = capsys.readouterr().err
    assert f"{GRPO}: failed in " in said
    assert "(torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 16.00 GiB.)" in said
    assert "; it is tried once more with half the batch; " in said


@pytest.mark.usefixtures("inline")
def test_it_is_tried_once_more_and_no_oftener(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN_GPU_HOLDS", "7")
    summary = collect(plan, tmp_path / "work")
    assert [attempt.stage for attempt in summary.failed] == [GRPO]
    assert [attempt.half_batch_next for attempt in attempts_at(tmp_path / "work", GRPO)] == [True, False]
    collect(plan, tmp_path / "work")
    assert len(attempts_at(tmp_path / "work", GRPO)) == 2
    collect(plan, tmp_path / "work", retry_failed=True)  # from the beginning: the whole batch, then half of it
    sizes = [attempt.config["per_device_train_batch_size"] for attempt in attempts_at(tmp_path / "work", GRPO)]
    assert sizes == [16, 8, 16, 8]


@pytest.mark.usefixtures("inline")
def test_whoever_goes_on_after_a_kill_knows_that_half_is_next(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    monkeypatch.setenv("STAND_IN_GPU_HOLDS", "8")
    collect(plan, work)
    lines = (work / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    cut = next(number for number, line in enumerate(lines) if b'"half_batch_next":true' in line and b"grpo/" in line)
    (work / "ledger.jsonl").write_bytes(b"".join(lines[: cut + 1]))
    collect(plan, work)
    sizes = [attempt.config["per_device_train_batch_size"] for attempt in attempts_at(work, GRPO)]
    assert sizes == [16, 8]


def test_a_stage_that_is_lost_with_its_machine_is_started_again(
    plan: Plan, tmp_path: Path, inline: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    collect(plan, tmp_path / "undisturbed")
    inline += [GRPO, POST, POST]
    assert collect(plan, tmp_path / "work").left == 0
    assert inline == []
    assert capsys.readouterr().err.count("lost with its machine, started again") == 3
    attempts = read_ledger(tmp_path / "work/ledger.jsonl")
    assert {attempt.status for attempt in attempts} == {"done"}
    one, other = (pl.read_parquet(tmp_path / name / "corpus.parquet") for name in ("work", "undisturbed"))
    kept = [name for name in one.columns if not name.startswith("cost_")]
    assert one.select(kept).equals(other.select(kept))
    assert not list((tmp_path / "work").glob("stages/*/*.attempt-*"))


def test_a_stage_that_is_lost_again_and_again_has_failed(plan: Plan, tmp_path: Path, inline: list[str]) -> None:
    inline += 9 * [GRPO]
    summary = collect(plan, tmp_path / "work")
    assert [(attempt.stage, attempt.exit_code) for attempt in summary.failed] == [(GRPO, None)]
    assert len(inline) == 6
    log = (tmp_path / "work" / summary.failed[0].log).read_text()
    assert log == "error: its machine was lost, for the 3rd time\n"
