import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from quagpredict.cli import main
from quagpredict.collection import carrying_out
from quagpredict.collection.collecting import collect
from quagpredict.collection.holders import at_work
from quagpredict.collection.ledger import Ledger, read_ledger
from quagpredict.collection.local import LocalLauncher
from quagpredict.collection.stages import stages_of
from quagpredict.collection.work_folder import WorkFolder
from quagpredict.corpus import read_corpus
from quagpredict.errors import IncomparableError, RecipeError, UsageError
from quagpredict.plans.plan import Plan

WritePlan = Callable[..., Path]
NO_SFT = [{"base": "weak", "no_sft": True}]
GRID = {
    "base": "weak",
    "unique_examples": 16,
    "epochs": 1,
    "learning_rate": 1e-3,
    "seed": 0,
    "scenario": "instance-level",
}


def done(work: Path) -> list[str]:
    return [attempt.stage for attempt in read_ledger(work / "ledger.jsonl") if attempt.status == "done"]


def without_costs(path: Path) -> pl.DataFrame:
    frame = pl.read_parquet(path)
    return frame.select(name for name in frame.columns if not name.startswith("cost_"))


def test_a_plan_becomes_a_table(write_plan: WritePlan, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, work = write_plan(held_out=["*.no-sft"]), tmp_path / "work"
    assert main(["collect", str(file), "--out", str(work), "--workers", "2"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert f"12 stages done, 0 left, 3 rows in {work / 'corpus.parquet'}" in said.err
    assert "[12/12]" in said.err

    stages = stages_of(Plan.from_yaml(file))
    assert sorted(done(work)) == sorted(stage.id for stage in stages)
    corpus = read_corpus(work / "corpus.parquet")
    names = ["weak.broad-16x1-lr0.001-s0", "weak.broad-16x2-lr0.001-s0", "weak.no-sft"]
    assert corpus["candidate"].to_list() == names
    assert corpus["split"].to_list() == ["fit", "fit", "held_out"]
    assert corpus["recipe_data_kind"].to_list() == ["broad", "broad", "none"]
    assert corpus["recipe_examples_seen"].to_list() == [16, 32, 0]
    assert corpus["recipe_learning_rate"].to_list() == [0.001, 0.001, None]
    assert (corpus["rl_steps"].to_list(), corpus["rl_seed"].to_list()) == ([7, 7, 7], [0, 0, 0])
    assert corpus["recipe_id"].n_unique() == 3
    assert corpus["rl_recipe_id"].n_unique() == 1
    first = corpus.row(0, named=True)
    assert first["pre_pass_at_1"] == sum(problem["c"] for problem in first["pre_problems"]) / 4 / 8
    assert first["post_pass_at_1"] == sum(problem["c"] for problem in first["post_problems"]) / 4 / 4
    assert first["rl_curve"][0]["step"] == 1
    assert min(first[f"cost_{stage}_s"] for stage in ("sft", "pre_evaluation", "rl", "post_evaluation")) >= 0
    one = read_corpus(work / "candidates" / f"{names[1]}.parquet")
    assert one.equals(corpus.filter(pl.col("candidate") == names[1]))
    assert not list((work / "stages").glob("*/*.attempt-*"))


@pytest.mark.usefixtures("inline")
def test_done_is_done_and_the_table_is_a_pure_function(write_plan: WritePlan, tmp_path: Path) -> None:
    plan, work = Plan.from_yaml(write_plan()), tmp_path / "work"
    collect(plan, work)
    ledger, corpus = (work / "ledger.jsonl").read_bytes(), (work / "corpus.parquet").read_bytes()
    (work / "corpus.parquet").unlink()
    moved = tmp_path / "moved"
    work.rename(moved)
    assert collect(plan, moved).done == 12
    assert (moved / "ledger.jsonl").read_bytes() == ledger
    assert (moved / "corpus.parquet").read_bytes() == corpus


def test_the_way_of_launching_changes_nothing(write_plan: WritePlan, tmp_path: Path) -> None:
    for mode in ("fork", "spawn"):
        collect(Plan.from_yaml(write_plan(candidates=NO_SFT, launch={"mode": mode, "threads": 1})), tmp_path / mode)
    assert without_costs(tmp_path / "fork/corpus.parquet").equals(without_costs(tmp_path / "spawn/corpus.parquet"))


@pytest.mark.usefixtures("inline")
def test_a_failed_stage_stops_only_what_needs_it(
    write_plan: WritePlan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cure, work = tmp_path / "cure", tmp_path / "work"
    file = write_plan(data={"bad": {"needs": str(cure)}}, candidates=[{**GRID, "data": "bad"}, *NO_SFT])
    arguments = ["collect", str(file), "--out", str(work)]
    assert main(arguments) == 1
    said = capsys.readouterr().err
    log = work / "logs" / "sft-weak.bad-16x1-lr0.001-s0-1.log"
    assert f"failed: sft/weak.bad-16x1-lr0.001-s0, see {log}" in said
    assert log.read_text() == "error: told to fail\n"
    assert "4 stages done, 0 left, 1 rows" in said
    failed = [attempt for attempt in read_ledger(work / "ledger.jsonl") if attempt.status == "failed"]
    assert [(attempt.stage, attempt.exit_code) for attempt in failed] == [("sft/weak.bad-16x1-lr0.001-s0", 3)]

    assert main(arguments) == 1  # not tried again unless told to
    assert len(read_ledger(work / "ledger.jsonl")) == 5
    cure.touch()
    assert main([*arguments, "--retry-failed"]) == 0
    assert read_corpus(work / "corpus.parquet")["candidate"].to_list() == ["weak.bad-16x1-lr0.001-s0", "weak.no-sft"]
    assert main(arguments) == 0


@pytest.mark.usefixtures("inline")
def test_a_program_without_a_record_has_failed(write_plan: WritePlan, tmp_path: Path) -> None:
    file = write_plan(data={"bad": {"forget": True}}, candidates=[{**GRID, "data": "bad"}])
    summary = collect(Plan.from_yaml(file), tmp_path / "work")
    assert [attempt.stage for attempt in summary.failed] == ["sft/weak.bad-16x1-lr0.001-s0"]
    assert len(summary.blocked) == 3
    log = (tmp_path / "work" / summary.failed[0].log).read_text()
    assert log.startswith("error: the program ended with exit code 0, but:")
    assert not (tmp_path / "work/corpus.parquet").exists()


@pytest.mark.usefixtures("inline")
def test_a_record_without_what_the_table_needs_has_failed(write_plan: WritePlan, tmp_path: Path) -> None:
    (tmp_path / "rl.yaml").write_text("no_steps: 7")  # the stand-in takes it for SFT then
    summary = collect(Plan.from_yaml(write_plan(candidates=NO_SFT)), tmp_path / "work")
    assert [attempt.stage for attempt in summary.failed] == ["grpo/weak.no-sft.rl-s0"]
    assert "results lack 'rl_curve', which the corpus needs" in (tmp_path / "work" / summary.failed[0].log).read_text()
    assert read_corpus(tmp_path / "work/corpus.parquet")["post_pass_at_1"].to_list() == [None]


@pytest.mark.usefixtures("inline")
def test_a_changed_recipe_runs_its_descendants_again(write_plan: WritePlan, tmp_path: Path) -> None:
    work = tmp_path / "work"
    collect(Plan.from_yaml(write_plan()), work)
    before = read_corpus(work / "corpus.parquet")
    (tmp_path / "rl.yaml").write_text("max_steps: 9")
    collect(Plan.from_yaml(write_plan()), work)
    again = done(work)[12:]
    assert {stage.partition("/")[0] for stage in again} == {"grpo", "evaluate-post"}
    assert len(again) == 6
    after = read_corpus(work / "corpus.parquet")
    assert after["rl_steps"].to_list() == [9, 9, 9]
    assert after["rl_recipe_id"][0] != before["rl_recipe_id"][0]
    assert after["pre_problems"].to_list() == before["pre_problems"].to_list()


@pytest.mark.usefixtures("inline")
def test_a_limit_goes_through_the_plan_piece_by_piece(write_plan: WritePlan, tmp_path: Path) -> None:
    plan = Plan.from_yaml(write_plan())
    assert [collect(plan, tmp_path / "work", limit=1).rows for _ in range(4)] == [1, 2, 3, 3]


@pytest.mark.usefixtures("inline")
def test_rows_are_runs_and_wait_for_nothing(write_plan: WritePlan, tmp_path: Path) -> None:
    work = tmp_path / "work"
    entries = [{"base": "weak", "no_sft": True, "rl_seeds": [0, 5]}, {**GRID, "data": "broad", "rl_seeds": []}]
    plan = Plan.from_yaml(write_plan(candidates=entries))
    collect(plan, work)
    corpus = read_corpus(work / "corpus.parquet")
    assert corpus["rl_seed"].to_list() == [0, 5, None]
    assert corpus["post_pass_at_1"].is_null().to_list() == [False, False, True]
    assert corpus["rl_recipe_id"].is_null().to_list() == [False, False, True]

    (work / "stages/evaluate-post/weak.no-sft.rl-s0/record.json").unlink()  # as if it had not been run yet
    ledger = Ledger(work / "ledger.jsonl")
    from quagpredict.collection.rows import Rows

    folder = WorkFolder(work)
    assert Rows(plan, folder, folder.still_there(ledger.attempts)).frame()["rl_seed"].to_list() == [5, None]
    (work / "stages/evaluate-post/weak.no-sft.rl-s5/record.json").unlink()
    assert Rows(plan, folder, folder.still_there(ledger.attempts)).frame()["rl_seed"].to_list() == [None, None]
    ledger.close()


@pytest.mark.usefixtures("inline")
def test_a_stage_folder_that_was_removed_is_made_again_but_weights_may_go(
    write_plan: WritePlan, tmp_path: Path
) -> None:
    plan, work = Plan.from_yaml(write_plan(candidates=NO_SFT)), tmp_path / "work"
    collect(plan, work)
    (work / "stages/grpo/weak.no-sft.rl-s0/model.safetensors").unlink()
    collect(plan, work)
    assert len(done(work)) == 4
    shutil.rmtree(work / "stages/evaluate-post/weak.no-sft.rl-s0")
    shutil.rmtree(work / "stages/grpo/weak.no-sft.rl-s0")
    collect(plan, work)
    assert done(work)[4:] == ["grpo/weak.no-sft.rl-s0", "evaluate-post/weak.no-sft.rl-s0"]


@pytest.mark.usefixtures("inline")
def test_work_that_finished_unseen_is_saved(
    write_plan: WritePlan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cut off between a program's last act and the ledger: the record is there, the line is not."""
    plan, work = Plan.from_yaml(write_plan(candidates=NO_SFT)), tmp_path / "work"
    collect(plan, work)
    before = without_costs(work / "corpus.parquet")
    lines = (work / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    last = json.loads(lines[-1])
    (work / "ledger.jsonl").write_bytes(b"".join(lines[:-1]))
    place = work / "stages" / last["stage"]
    place.rename(place.with_name(f"{place.name}.attempt-{last['key']}-1"))
    other = place.with_name(f"{place.name}.attempt-0000-2")  # finished too, but by another recipe
    shutil.copytree(place.with_name(f"{place.name}.attempt-{last['key']}-1"), other)

    collect(plan, work)
    assert f"saved {last['stage']}" in capsys.readouterr().err
    saved = read_ledger(work / "ledger.jsonl")[-1]
    assert (saved.stage, saved.key, saved.log, saved.exit_code) == (last["stage"], last["key"], last["log"], None)
    assert saved.config == last["config"]
    assert len(done(work)) == 4
    assert sorted(path.name for path in place.parent.iterdir()) == [place.name]
    assert without_costs(work / "corpus.parquet").equals(before)


@pytest.mark.usefixtures("inline")
def test_a_second_collect_is_refused(write_plan: WritePlan, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    work = tmp_path / "work"
    work.mkdir()
    with at_work(work):
        assert main(["collect", str(write_plan()), "--out", str(work)]) == 2
    assert capsys.readouterr().err == (
        f"error: {work}: another collect (process {os.getpid()}) works in this folder; wait or stop it, or join it\n"
    )


@pytest.mark.parametrize("option", ["--workers", "--limit"])
@pytest.mark.usefixtures("inline")
def test_counts_must_be_positive(
    write_plan: WritePlan, tmp_path: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["collect", str(write_plan()), "--out", str(tmp_path / "work"), option, "0"]) == 2
    assert capsys.readouterr().err == f"error: {option}: expected a whole number of at least 1, got 0\n"


@pytest.mark.usefixtures("inline")
def test_measurements_under_two_protocols_are_no_row(write_plan: WritePlan, tmp_path: Path) -> None:
    plan, work = Plan.from_yaml(write_plan(candidates=NO_SFT)), tmp_path / "work"
    collect(plan, work)
    text = (work / "ledger.jsonl").read_text()
    last = text.rindex('"eval_protocol_id":"p"')
    (work / "ledger.jsonl").write_text(text[:last] + text[last:].replace('"p"', '"q"', 1))
    with pytest.raises(IncomparableError, match=r"evaluate-post/weak\.no-sft\.rl-s0: measured under protocol q"):
        collect(plan, work)


def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(write_plan: WritePlan, tmp_path: Path) -> None:
    file, work = write_plan(candidates=NO_SFT), tmp_path / "work"
    code = "import sys; from quagpredict.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "collect", str(file), "--out", str(work)]
    with subprocess.Popen(command, env={**os.environ, "STAND_IN_SECONDS": "600"}, stderr=subprocess.PIPE) as process:
        try:
            until = time.monotonic() + 60
            while not list((work / "stages").glob("base/*.attempt-*")):
                assert time.monotonic() < until
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            assert process.stderr is not None
            said = process.stderr.read().decode()
            assert process.wait(timeout=60) == 130
        finally:
            process.kill()
    assert said.endswith("stopped; the same command resumes from here\n")
    assert "Traceback" not in said
    assert not list((work / "stages").glob("*/*"))
    assert collect(Plan.from_yaml(file), work).rows == 1


def test_a_lost_supervisor_is_started_again(
    write_plan: WritePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[Any] = []

    class Frail(LocalLauncher):
        def start(self, name: str, *arguments: Any, **options: Any) -> None:
            super().start(name, *arguments, **options)
            started.append(name)
            if len(started) in (2, 4):
                assert self._process is not None
                self._process.kill()

    monkeypatch.setattr(carrying_out, "launcher_of", lambda mode, setting: Frail(setting, fork=mode == "fork"))
    assert collect(Plan.from_yaml(write_plan(candidates=NO_SFT)), tmp_path / "work").rows == 1
    assert capsys.readouterr().err.count("has ended; see") == 2
    assert sorted(done(tmp_path / "work")) == sorted(set(started))


def test_a_work_folder_that_cannot_be_is_one_line(
    write_plan: WritePlan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "work").touch()
    assert main(["collect", str(write_plan()), "--out", str(tmp_path / "work")]) == 1
    assert capsys.readouterr().err == f"error: {tmp_path / 'work' / 'logs'}: Not a directory\n"


def test_a_bad_plan_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["collect", str(tmp_path / "none.yaml")]) == UsageError.exit_code
    assert capsys.readouterr().err == f"error: {tmp_path / 'none.yaml'}: there is no such file\n"


def test_a_fork_server_that_is_not_there_is_one_line(write_plan: WritePlan, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no fork server listens there"):
        collect(Plan.from_yaml(write_plan()), tmp_path / "work", fork_server=tmp_path / "socket")
    with pytest.raises(UsageError, match="'tiny' has spawn"):
        collect(Plan.from_yaml(write_plan(launch={})), tmp_path / "work", fork_server=tmp_path / "socket")


@pytest.mark.usefixtures("inline")
def test_what_fails_from_the_start_is_not_tried_for_ever(
    write_plan: WritePlan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cure, work = tmp_path / "cure", tmp_path / "work"
    grid = {**GRID, "data": "bad", "seed": [0, 1, 2, 3, 4]}
    file = write_plan(data={"bad": {"needs": str(cure)}}, candidates=[grid])
    arguments = ["collect", str(file), "--out", str(work)]
    assert main(arguments) == 1
    assert "the first 3 stages of the kind 'sft' failed: nothing more is started" in capsys.readouterr().err
    assert len(read_ledger(work / "ledger.jsonl")) == 4
    cure.touch()
    assert main([*arguments, "--retry-failed"]) == 0
    assert read_corpus(work / "corpus.parquet").height == 5


@pytest.mark.usefixtures("inline")
def test_a_suite_that_cannot_be_read_is_said_before_anything_is_trained(write_plan: WritePlan, tmp_path: Path) -> None:
    file = write_plan(programs={})
    (tmp_path / "suite.yaml").write_text("name: tiny")
    with pytest.raises(RecipeError, match=r"suite.yaml: the key 'benchmarks' is missing"):
        collect(Plan.from_yaml(file), tmp_path / "work")
    assert not (tmp_path / "work").exists()


@pytest.mark.usefixtures("inline")
def test_a_program_that_trips_after_its_record_has_finished(
    write_plan: WritePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_EXIT", "134")
    summary = collect(Plan.from_yaml(write_plan(candidates=NO_SFT)), tmp_path / "work")
    assert (summary.left, summary.failed, summary.rows) == (0, (), 1)
    attempts = read_ledger(tmp_path / "work/ledger.jsonl")
    assert {(attempt.status, attempt.exit_code) for attempt in attempts} == {("done", 134)}
    assert "had finished when it ended with exit code 134" in (tmp_path / "work" / attempts[0].log).read_text()


@pytest.mark.usefixtures("inline")
def test_samples_of_an_attempt_that_failed_are_there_for_the_next(
    write_plan: WritePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, work = Plan.from_yaml(write_plan(candidates=[{**NO_SFT[0], "rl_seeds": []}])), tmp_path / "work"
    monkeypatch.setenv("STAND_IN_BREAKS_AFTER_SAMPLES", "1")
    assert [attempt.stage for attempt in collect(plan, work).failed] == ["evaluate-pre/weak.no-sft"]
    left = list(work.glob("stages/evaluate-pre/*.attempt-*/samples/part"))
    assert [path.read_text() for path in left] == ["drawn once"]
    monkeypatch.delenv("STAND_IN_BREAKS_AFTER_SAMPLES")
    assert collect(plan, work, retry_failed=True).left == 0
    assert (work / "stages/evaluate-pre/weak.no-sft/samples/part").read_text() == "drawn once"
    assert not list(work.glob("stages/*/*.attempt-*"))
