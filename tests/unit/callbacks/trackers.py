"""What the callback logs through the trainer's own ``report_to``, read back from real stores: `make test-trackers`."""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from transformers.trainer_callback import PrinterCallback

import quagpredict as qp
from quagpredict.cli import main
from quagpredict.corpus import read_corpus
from quagpredict.errors import InvalidDataError, NothingToRankError

SUITE = "collectors/suites/lab-pilot.yaml"
NAMES = ("pass_at_1", "held_out_loss", "after_rl", "after_rl_low", "best_for_rl_step")
# The trackers and what they stand on warn of themselves.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def train(sft_trainer: Callable[..., Any]) -> Callable[..., Any]:
    """Train with the callback, logging to a tracker; return the trainer."""

    def trained(out: Path, tracker: str, **more: Any) -> Any:
        trainer = sft_trainer(out, **{"report_to": [tracker], "max_steps": 4, **more})
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(qp.QuagpredictCallback(trainer, SUITE, base_model="weak", problems=2, samples=4))
        trainer.train()
        return trainer

    return trained


def logged(trainer: Any, name: str) -> list[tuple[int, float]]:
    key = f"quagpredict/{name}"
    return [(entry["step"], pytest.approx(entry[key])) for entry in trainer.state.log_history if key in entry]


def test_tensorboard_has_each_value_at_its_step(
    train: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "events"))
    trainer = train(tmp_path / "run", "tensorboard")
    events = EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    for name in NAMES:
        there = [(event.step, event.value) for event in events.Scalars(f"train/quagpredict/{name}")]
        assert there == logged(trainer, name)
        assert len(there) == 2


@pytest.fixture
def store(train: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, list[Any]]:
    """An MLflow store in SQLite with two runs of one experiment, that differ in their learning rate."""
    import mlflow

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "sft")
    monkeypatch.chdir(tmp_path)  # artifacts would go into the current folder
    mlflow.set_tracking_uri(uri)
    rates = {"mix-a": 1e-3, "mix-b": 1e-4}
    trainers = []
    for name, rate in rates.items():
        trainers.append(train(tmp_path / name, "mlflow", run_name=name, learning_rate=rate))
        mlflow.end_run()
    return uri, trainers


def test_mlflow_has_each_value_and_its_runs_are_a_table_that_ranks(
    store: tuple[str, list[Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import mlflow

    uri, trainers = store
    client = mlflow.MlflowClient(tracking_uri=uri)
    for trainer, run in zip(trainers, reversed(client.search_runs(["1"])), strict=True):
        for name in NAMES:
            there = client.get_metric_history(run.info.run_id, f"quagpredict/{name}")
            assert [(one.step, one.value) for one in sorted(there, key=lambda one: one.step)] == logged(trainer, name)

    table = qp.read_mlflow(uri, "sft")
    assert table["candidate"].to_list() == ["mix-a", "mix-b"]
    assert table["recipe_learning_rate"].to_list() == [1e-3, 1e-4]
    assert "recipe_max_steps" not in table.columns  # the same in both
    for name, column in {"pass_at_1": "pre_pass_at_1", "held_out_loss": "pre_held_out_loss_nats"}.items():
        assert table[column].to_list() == [logged(trainer, name)[-1][1] for trainer in trainers]
    assert sorted(qp.rank(table, None).frame["candidate"]) == ["mix-a", "mix-b"]

    # What is not the schema's keeps its name, and the command writes the same table.
    client.log_metric(client.search_runs(["1"])[0].info.run_id, "math/acc", 0.5)
    out = tmp_path / "runs.parquet"
    assert main(["import", "mlflow", uri, "--experiment", "sft", "--out", str(out)]) == 0
    assert "2 runs" in capsys.readouterr().err
    assert read_corpus(out)["math/acc"].to_list() == [None, 0.5]
    assert read_corpus(out).drop("math/acc").equals(read_corpus(table))


def test_runs_of_one_name_are_told_apart_and_what_is_not_there_is_said(tmp_path: Path) -> None:
    import mlflow

    uri = f"sqlite:///{tmp_path / 'm.db'}"
    with pytest.raises(InvalidDataError, match=r"there is no file .*m\.db"):
        qp.read_mlflow(uri)
    assert not (tmp_path / "m.db").exists()
    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment = client.create_experiment("one", artifact_location=str(tmp_path))
    with pytest.raises(InvalidDataError, match="there is no experiment 'two'; there are one"):
        qp.read_mlflow(uri, "two")
    with pytest.raises(NothingToRankError, match="there is no run in 'one'"):
        qp.read_mlflow(uri, "one")
    runs = [client.create_run(experiment, run_name="same") for _ in range(2)]
    for run, score in zip(runs, (0.25, 0.75), strict=True):
        client.log_metric(run.info.run_id, "pass_at_64", score)
        client.log_param(run.info.run_id, "data", "x" if score < 0.5 else "y")
    table = qp.read_mlflow(tmp_path / "m.db")
    assert table["candidate"].to_list() == [f"same-{run.info.run_id[:8]}" for run in runs]
    assert table.select("pass_at_64", "recipe_data").rows() == [(0.25, "x"), (0.75, "y")]
    assert isinstance(table, pl.DataFrame)
    (tmp_path / "torn.db").write_bytes(b"SQLite format 3\0 and then nothing")
    with pytest.raises(InvalidDataError, match="MLflow cannot read it"):
        qp.read_mlflow(tmp_path / "torn.db")


def test_a_store_of_many_pages_and_of_runs_without_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    monkeypatch.setattr("quagpredict.importers.mlflow_runs._PAGE", 1)
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'm.db'}")
    runs = []
    for name in ("one", "two", "three"):
        experiment = client.create_experiment(name, artifact_location=str(tmp_path))
        for value in (0.25, 0.75):
            runs.append(client.create_run(experiment))
            client.log_metric(runs[-1].info.run_id, "pass_at_64", value)
    with contextlib.closing(sqlite3.connect(tmp_path / "m.db")) as written_by_mlflow_1:
        written_by_mlflow_1.execute("UPDATE runs SET name = NULL")
        written_by_mlflow_1.execute("DELETE FROM tags WHERE key = 'mlflow.runName'")
        written_by_mlflow_1.commit()
    names = [f"run-{run.info.run_id[:8]}" for run in runs]
    assert sorted(qp.read_mlflow(tmp_path / "m.db")["candidate"]) == sorted(names)
    assert sorted(qp.read_mlflow(tmp_path / "m.db", "one")["candidate"]) == sorted(names[:2])
