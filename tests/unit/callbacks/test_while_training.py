"""The callback in real trainings: what it writes and logs, and that the training is what it was."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers.trainer_callback import PrinterCallback

import quagpredict as qp
from quagpredict.callbacks.while_training import probe_of
from quagpredict.errors import UsageError
from quagpredict.evaluation import read_suite
from quagpredict.shipped import shipped_path

SUITE = "collectors/suites/lab-pilot.yaml"


def quiet(trainer: Any) -> Any:
    trainer.remove_callback(PrinterCallback)
    return trainer


def logged(trainer: Any, name: str) -> list[float]:
    return [entry[f"quagpredict/{name}"] for entry in trainer.state.log_history if f"quagpredict/{name}" in entry]


def test_sft_is_measured_at_each_save_and_is_the_same_to_the_bit(sft_trainer: Any, tmp_path: Path) -> None:
    plain = quiet(sft_trainer(tmp_path / "plain"))
    plain.train()
    watched = quiet(sft_trainer(tmp_path / "watched"))
    callback = qp.QuagpredictCallback(watched, SUITE, base_model="weak", problems=2, samples=4)
    watched.add_callback(callback)
    watched.train()
    for one, other in zip(plain.model.parameters(), watched.model.parameters(), strict=True):
        assert torch.equal(one, other)

    assert callback.rows["candidate"].to_list() == ["checkpoint-2", "checkpoint-4", "checkpoint-6"]
    assert logged(watched, "pass_at_1") == pytest.approx(callback.rows["pre_pass_at_1"].to_list())
    assert len(logged(watched, "held_out_loss")) == len(logged(watched, "after_rl")) == 3
    best = json.loads((tmp_path / "watched" / "best_for_rl.json").read_text())
    assert best["checkpoint"] == callback.best == watched.state.best_model_checkpoint
    # What is left behind ranks as any other measurement, and as the callback ranked it.
    ranking = qp.rank(tmp_path / "watched" / "quagpredict" / "*.parquet")
    assert ranking.frame["candidate"][0] == best["candidate"]
    assert ranking.frame["prediction"][0] == pytest.approx(best["prediction"])


def test_sft_stops_once_no_checkpoint_becomes_the_best_and_keeps_the_best(sft_trainer: Any, tmp_path: Path) -> None:
    # The learning rate begins at nothing and ends where the model forgets all, so the first checkpoint stays the best.
    trainer = quiet(
        sft_trainer(tmp_path, max_steps=8, save_steps=1, save_total_limit=1, learning_rate=0.1, warmup_steps=4)
    )
    callback = qp.QuagpredictCallback(trainer, SUITE, problems=4, samples=8, patience=2)
    trainer.add_callback(callback)
    trainer.train()
    assert logged(trainer, "best_for_rl_step") == [1, 1, 1]
    assert trainer.state.global_step == 3
    assert callback.best == str(tmp_path / "checkpoint-1")
    assert Path(callback.best, "config.json").exists()


def test_rl_is_forecast_at_each_save_and_stopped_where_the_gate_is_out_of_reach(
    grpo_trainer: Any, tmp_path: Path
) -> None:
    trainer = quiet(grpo_trainer(tmp_path))
    trainer.add_callback(qp.QuagpredictCallback(trainer, SUITE, problems=2, samples=16, gate=0.99))
    trainer.train()
    assert trainer.state.global_step == 2
    (low,), (end,), (high,) = (logged(trainer, f"at_the_end{name}") for name in ("_low", "", "_high"))
    assert low < end < high
    assert logged(trainer, "likely_to_clear")[0] < 0.5
    assert (tmp_path / "quagpredict" / "start.parquet").exists()


def test_the_guide_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (shipped_path("datasets").parent / "docs/guide/while-training.md").read_text("utf-8")
    block = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)[0]
    (tmp_path / "datasets").symlink_to(shipped_path("datasets"))
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "while-training.md", "exec"), {})
    assert "checkpoints/checkpoint-" in capsys.readouterr().out
    assert (tmp_path / "checkpoints" / "best_for_rl.json").exists()


def test_a_trainer_that_saves_nothing_is_refused(sft_trainer: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="saves no checkpoint"):
        qp.QuagpredictCallback(sft_trainer(tmp_path, save_strategy="no"), SUITE)


@pytest.mark.parametrize("problems", [1, 7, 10_000])
def test_a_probe_has_so_many_of_each_benchmark_in_the_suites_order(problems: int) -> None:
    suite = read_suite(SUITE)
    probe = probe_of(suite, problems)
    for benchmark in {problem.benchmark for problem in suite.problems}:
        own = [problem for problem in probe.problems if problem.benchmark == benchmark]
        whole = [problem for problem in suite.problems if problem.benchmark == benchmark]
        assert len(own) == min(problems, len(whole))
        assert own == [problem for problem in whole if problem in own]
    assert probe.held_out == suite.held_out


def test_a_probe_has_at_least_one_problem() -> None:
    with pytest.raises(UsageError, match="problems=0"):
        probe_of(SUITE, 0)
