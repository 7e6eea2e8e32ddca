"""What a stage leaves that is no record, takes too long, or was made by a program that has changed."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from quagpredict.cli import main
from quagpredict.collection.collecting import collect
from quagpredict.collection.endings import reason_in, record_of_end
from quagpredict.collection.ledger import read_ledger
from quagpredict.collection.programs import Programs
from quagpredict.collection.results import checked_record
from quagpredict.collection.rows import Rows
from quagpredict.collection.stages import Stage, stages_of
from quagpredict.collection.work_folder import Place, WorkFolder
from quagpredict.corpus import read_corpus
from quagpredict.errors import InvalidDataError
from quagpredict.plans.plan import Plan

NO_SFT = [{"base": "weak", "no_sft": True}]
STAND_IN = Path(__file__).with_name("stand_in.py")
MEASURED = {"eval_protocol_id": "p", "measurement": {"pass_at_1": 0.5, "held_out_loss_nats": None}}


@pytest.mark.usefixtures("inline")
def test_a_nan_fails_its_stage_and_nothing_else(write_plan, tmp_path, capsys):
    mended = tmp_path / "mended"
    file = write_plan(data={"broad": {"spoiled_unless": str(mended)}})
    words = ["collect", str(file), "--out", str(tmp_path / "work")]
    for _ in range(2):  # the second call finds what the first one left
        assert main(words) == 1
        said = capsys.readouterr().err
        assert "failed: sft/weak.broad-16x1-lr0.001-s0" in said
    assert read_corpus(tmp_path / "work" / "corpus.parquet")["candidate"].to_list() == ["weak.no-sft"]
    mended.touch()
    assert main([*words, "--retry-failed"]) == 0
    assert read_corpus(tmp_path / "work" / "corpus.parquet").height == 3


@pytest.mark.usefixtures("inline")
def test_the_reason_stands_beside_the_failure(write_plan, tmp_path, capsys):
    file = write_plan(data={"broad": {"spoiled_unless": "never"}})
    assert main(["collect", str(file), "--out", str(tmp_path / "work")]) == 1
    assert "results.loss is nan, which JSON cannot hold), see" in capsys.readouterr().err


@pytest.mark.usefixtures("inline")
def test_a_nan_that_a_killed_collection_left_does_not_wedge_the_next(write_plan, tmp_path):
    plan, work = Plan.from_yaml(write_plan(candidates=NO_SFT)), tmp_path / "work"
    collect(plan, work, limit=0)
    base = stages_of(plan)[0]
    left = work / "stages" / "base" / f"weak.attempt-{base.key}-1"
    left.mkdir(parents=True)
    (left / "record.json").write_text('{"program": "p", "results": {"loss": NaN}, "seconds": 1.0}')
    assert collect(plan, work).done == len(stages_of(plan))


@pytest.mark.parametrize(
    ("results", "said"),
    [
        ({}, "results lack 'eval_protocol_id'"),
        (MEASURED | {"measurement": 5}, "'measurement' has the wrong type: '5'"),
        (MEASURED | {"measurement": {"pass_at_1": "high"}}, "'pass_at_1' is no number: 'high'"),
        (MEASURED | {"measurement": {"pass_at_1": True}}, "'pass_at_1' is no number"),
        (MEASURED | {"note": [1, {"deep": float("inf")}]}, r"results.note\[1\].deep is inf"),
        (MEASURED | {"many": 2**64}, "results.many is a whole number beyond 64 bits"),
    ],
)
def test_a_result_that_the_corpus_cannot_hold_is_named(results, said, write_plan, tmp_path):
    stage = next(stage for stage in stages_of(Plan.from_yaml(write_plan())) if stage.kind == "evaluate-pre")
    (tmp_path / "record.json").write_text(json.dumps({"program": "p", "results": results, "seconds": 1}))
    with pytest.raises(InvalidDataError, match=said):
        checked_record(stage, tmp_path)


def test_a_record_that_is_nested_without_end_is_refused(write_plan, tmp_path):
    stage = stages_of(Plan.from_yaml(write_plan()))[0]
    for depth in (40, 200_000):
        nested = "[" * depth + "]" * depth
        (tmp_path / "record.json").write_text('{"program": "p", "results": {"a": ' + nested + '}, "seconds": 1}')
        with pytest.raises(InvalidDataError, match=r"nested more than 32 deep|not a readable record"):
            checked_record(stage, tmp_path)


def test_a_stage_that_takes_too_long_is_ended_and_has_failed(write_plan, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("STAND_IN_SECONDS", "60")
    limited = {"mode": "fork", "threads": 1, "time_limits": {"base": 0.3}}
    file = write_plan(candidates=NO_SFT, launch=limited)
    assert main(["collect", str(file), "--out", str(tmp_path / "work")]) == 1
    said = capsys.readouterr().err
    assert "base/weak: failed in" in said
    assert "ended after 0.3 s, the plan's launch.time_limits), see" in said
    (attempt,) = read_ledger(tmp_path / "work" / "ledger.jsonl")
    assert (attempt.status, attempt.exit_code) == ("failed", -9)
    monkeypatch.delenv("STAND_IN_SECONDS")
    assert Plan.from_yaml(file).plan_id == Plan.from_yaml(write_plan(candidates=NO_SFT)).plan_id
    assert main(["collect", str(file), "--out", str(tmp_path / "work"), "--retry-failed"]) == 0


@pytest.mark.usefixtures("inline")
def test_a_program_that_changed_is_noted_and_nothing_is_done_again(write_plan, tmp_path, capsys):
    program = tmp_path / "program.py"
    shutil.copy(STAND_IN, program)
    programs = dict.fromkeys(("base", "sft", "rl", "evaluate"), str(program))
    file, work = write_plan(programs=programs), tmp_path / "work"
    assert main(["collect", str(file), "--out", str(work), "--limit", "1"]) == 0
    assert "has changed" not in capsys.readouterr().err
    before = read_ledger(work / "ledger.jsonl")
    program.write_text(program.read_text() + "\n# another program\n")
    assert main(["collect", str(file), "--out", str(work)]) == 0
    said = capsys.readouterr().err
    assert said.count(f"{program} has changed since this collection began: from ") == 1
    after = read_ledger(work / "ledger.jsonl")
    assert after[: len(before)] == before
    assert len({attempt.stage for attempt in after}) == len(after) == 12
    kept = json.loads((work / "programs.json").read_text())[str(program)]
    assert [one["from_stage"] for one in kept] == ["base/weak", after[len(before)].stage]


def test_what_two_collectors_write_down_of_their_programs_stays(write_plan, tmp_path):
    (tmp_path / "work").mkdir()
    one, other = Programs(tmp_path / "work"), Programs(tmp_path / "work")
    stages = stages_of(Plan.from_yaml(write_plan()))
    base, sft = stages[0], replace(stages[1], program="training/train_sft.py")
    assert one.changed(base) is None
    assert other.changed(sft) is None
    kept = json.loads((tmp_path / "work" / "programs.json").read_text())
    assert [kept[stage.program][0]["from_stage"] for stage in (base, sft)] == [base.id, sft.id]
    assert Programs(tmp_path / "work").changed(base) is None


def test_the_reason_is_the_last_error_of_the_log(tmp_path):
    log = tmp_path / "a.log"
    assert reason_in(log) == ""
    log.write_text("error: first\nTraceback (most recent call last):\n  x\ntorch.OutOfMemoryError: \x1b[31mfull\nbye\n")
    assert reason_in(log) == "torch.OutOfMemoryError: ?[31mfull"


@pytest.mark.usefixtures("inline")
def test_a_checkpoint_that_changed_between_measuring_and_rl_gives_no_row(write_plan, tmp_path):
    plan, work = Plan.from_yaml(write_plan(candidates=NO_SFT)), tmp_path / "work"
    collect(plan, work)
    read = {"evaluate-pre": "checkpoint", "grpo": "candidate"}

    def with_inputs(**digests):
        made = []
        for attempt in read_ledger(work / "ledger.jsonl"):
            kind = attempt.stage.partition("/")[0]
            inputs = {read[kind]: digests[read[kind]]} if kind in read else {}
            made.append(replace(attempt, record=replace(attempt.record, inputs=inputs)))
        return made

    same = with_inputs(checkpoint="ab", candidate="ab")
    assert Rows(plan, WorkFolder(work), same).frame().height == 1
    with pytest.raises(
        InvalidDataError, match=r"grpo/weak.no-sft.rl-s0: RL began from other weights than evaluate-pre/"
    ):
        Rows(plan, WorkFolder(work), with_inputs(checkpoint="ab", candidate="cd")).frame()


@pytest.mark.parametrize(
    ("code", "before", "reason"),
    [
        (-9, "", "ended by SIGKILL, as when memory runs out"),
        (-15, "drawing\n", "ended by SIGTERM"),
        (-9, "MemoryError: too much\n", "MemoryError: too much"),
        (3, "", ""),
    ],
)
def test_what_was_killed_says_so(tmp_path, code, before, reason):
    place = Place(tmp_path / "attempt", tmp_path / "config.yaml", tmp_path / "log")
    place.folder.mkdir()
    place.log.write_text(before)
    stage = Stage("grpo", "a", "p", {}, {}, "key", "a")
    assert record_of_end(stage, place, code) is None
    assert reason_in(place.log) == reason
