import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest
import yaml

from quagpredict.cli import main
from quagpredict.collection.collecting import collect
from quagpredict.collection.endings import reason_in, record_of_end
from quagpredict.collection.holders import one_at_a_time
from quagpredict.collection.launch import Programs
from quagpredict.collection.ledger import Attempt, Ledger, read_ledger
from quagpredict.collection.rows import Rows
from quagpredict.collection.stages import Stage, stages_of
from quagpredict.collection.work_folder import AttemptFiles, WorkFolder, checked_record
from quagpredict.corpus import read_corpus
from quagpredict.errors import InvalidDataError
from quagpredict.files import write_json
from quagpredict.plans.plan import Plan
from quagpredict.run_record import RECORD_NAME


@pytest.fixture
def stages(write_plan: Callable[..., Path]) -> tuple[Stage, ...]:
    return stages_of(Plan.from_yaml(write_plan()))


@pytest.fixture
def work(tmp_path: Path) -> WorkFolder:
    (tmp_path / "work").mkdir()
    return WorkFolder(tmp_path / "work")


def make(folder: Path, mark: str, *, whole: bool = True) -> None:
    folder.mkdir(parents=True)
    (folder / "weights.txt").write_text(mark)
    if whole:
        (folder / RECORD_NAME).write_text(json.dumps({"program": "p", "results": {}, "seconds": 2.0}))


def recover(work: WorkFolder, stages: tuple[Stage, ...], *attempts: Attempt) -> tuple[list[str], list[Attempt]]:
    ledger = Ledger(work.ledger)
    for attempt in attempts:
        ledger.append(attempt)
    saved = []
    for identity, folders in work.left_over().items():
        stage = next((stage for stage in stages if stage.id == identity), None)
        if work.recover(identity, folders, stage, ledger) is not None:
            saved.append(identity)
    ledger.close()
    return saved, ledger.attempts[len(attempts) :]


def done(stage: Stage, key: str | None = None) -> Attempt:
    return Attempt(key or stage.key, stage.id, "done", None, "", "", 1.0)


def left(work: WorkFolder) -> dict[str, str]:
    folders = (work.root / "stages").glob("*/*")
    return {f"{folder.parent.name}/{folder.name}": (folder / "weights.txt").read_text() for folder in folders}


def test_an_attempt_without_a_record_is_removed(work: WorkFolder, stages: tuple[Stage, ...]) -> None:
    make(work.next_files(stages[0]).folder, "half", whole=False)
    assert recover(work, stages) == ([], [])
    assert left(work) == {}


def test_an_attempt_with_a_torn_record_is_removed(work: WorkFolder, stages: tuple[Stage, ...]) -> None:
    folder = work.next_files(stages[0]).folder
    make(folder, "half")
    (folder / RECORD_NAME).write_text('{"program": "p"')
    assert recover(work, stages) == ([], [])
    assert left(work) == {}


def test_an_attempt_with_a_record_is_saved(work: WorkFolder, stages: tuple[Stage, ...]) -> None:
    make(work.next_files(stages[0]).folder, "new")
    saved, added = recover(work, stages)
    assert saved == [stages[0].id]
    assert [(one.stage, one.key, one.status, one.seconds) for one in added] == [
        (stages[0].id, stages[0].key, "done", 2.0)
    ]
    assert left(work) == {stages[0].id: "new"}
    assert recover(work, stages) == ([], added)  # nothing to do, and no second line


def test_an_attempt_in_the_ledger_is_put_in_place_and_not_written_twice(
    work: WorkFolder, stages: tuple[Stage, ...]
) -> None:
    make(work.next_files(stages[0]).folder, "new")
    make(work.stage(stages[0].id), "old")
    assert recover(work, stages, done(stages[0], "0ld"), done(stages[0])) == ([], [])
    assert left(work) == {stages[0].id: "new"}


def test_a_half_removed_old_folder_does_not_matter(work: WorkFolder, stages: tuple[Stage, ...]) -> None:
    make(work.next_files(stages[0]).folder, "new")
    make(work.stage(stages[0].id), "old", whole=False)
    assert recover(work, stages, done(stages[0])) == ([], [])
    assert left(work) == {stages[0].id: "new"}


def test_a_finished_attempt_of_another_recipe_is_removed(work: WorkFolder, stages: tuple[Stage, ...]) -> None:
    folder = work.next_files(stages[0]).folder
    make(folder.with_name(folder.name.replace(stages[0].key, "abc123")), "other")
    make(work.stage(stages[0].id), "mine")
    assert recover(work, stages, done(stages[0])) == ([], [])
    assert left(work) == {stages[0].id: "mine"}


def test_attempts_are_numbered_past_what_was_logged(work: WorkFolder, stages: tuple[Stage, ...]) -> None:
    stage = stages[0]
    first = work.next_files(stage)
    work.prepare(stage, first)
    second = work.next_files(stage)
    assert (first.log.name, second.log.name) == ("base-weak-1.log", "base-weak-2.log")
    assert second.folder.name == f"weak.attempt-{stage.key}-2"
    (work.logs / "base-weak-er-7.yaml").touch()  # another base, whose name begins alike
    assert work.next_files(stage) == second


def test_the_config_of_an_attempt(work: WorkFolder, stages: tuple[Stage, ...]) -> None:
    sft = stages[1]
    place = work.next_files(sft)
    work.prepare(sft, place)
    written = yaml.safe_load(place.config.read_text())
    assert written == {
        **sft.config,
        "model_name_or_path": str(work.stage("base/weak")),
        "output_dir": str(place.folder),
    }
    assert written["learning_rate"] == 1e-3
    assert work.given(sft) == {**sft.config, "model_name_or_path": "stages/base/weak"}


def test_what_somebody_removed_is_not_there(work: WorkFolder, stages: tuple[Stage, ...]) -> None:
    make(work.stage(stages[0].id), "mine")
    failed = Attempt(stages[2].key, stages[2].id, "failed", None, "", "", 1.0)
    attempts = [done(stages[0]), done(stages[1]), failed]
    assert list(work.still_there(attempts)) == [attempts[0], failed]


def test_flushing_reaches_every_file(
    work: WorkFolder, stages: tuple[Stage, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = work.next_files(stages[0]).folder
    make(folder, "new")
    make(folder / "samples", "part")
    (folder / "link").symlink_to("nowhere")
    flushed: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda handle: flushed.append(str(Path(f"/proc/self/fd/{handle}").readlink())))
    work.flush(folder)
    files = [path for path in folder.rglob("*") if not path.is_symlink()]
    assert sorted(flushed) == sorted(str(path) for path in (*files, folder, folder.parent))
    assert len(files) == 5


def test_what_an_attempt_can_go_on_from_stays_for_the_next(work: WorkFolder, stages: tuple[Stage, ...]) -> None:
    """Samples, and a checkpoint with the optimizer's state; not one of the model alone, or one that is half there."""
    for stage, part, kept in (
        (stages[0], "samples/part", True),
        (stages[1], "checkpoint-20/optimizer.pt", True),
        (stages[2], "checkpoint-20/model.safetensors", False),
    ):
        place = work.next_files(stage)
        work.prepare(stage, place)
        (place.folder / part).parent.mkdir()
        (place.folder / part).write_text("hours")
        if part.startswith("checkpoint"):
            (place.folder / "checkpoint-20" / "trainer_state.json").write_text("{}")
            (place.folder / "checkpoint-40").mkdir()
            (place.folder / "checkpoint-40" / "optimizer.pt").write_text("cut off")
        work.give_up(place.folder)
        assert recover(work, stages)[0] == []
        again = work.next_files(stage)
        work.prepare(stage, again)
        assert (again.folder / part).exists() == kept
        assert place.folder.exists() == (place.folder == again.folder)
        (again.folder / "weights.txt").write_text("done")
        work.keep(again.folder, stage.id)
        assert (work.stage(stage.id) / "checkpoint-20").exists() is False
        assert (work.stage(stage.id) / "samples").exists() == (stage is stages[0])


def test_what_another_recipe_left_is_removed(work: WorkFolder, stages: tuple[Stage, ...]) -> None:
    place = work.next_files(stages[0])
    work.prepare(stages[0], place)
    (place.folder / "samples").mkdir()
    other = place.folder.with_name(place.folder.name.replace(stages[0].key, "abc123"))
    place.folder.rename(other)
    assert recover(work, stages) == ([], [])
    assert left(work) == {}


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


def test_what_another_collector_writes_down_meanwhile_stays(write_plan, tmp_path, monkeypatch):
    """The other one comes between our reading of the file and our writing of it."""
    one, other = Programs(tmp_path / "work"), Programs(tmp_path / "work")
    stages = stages_of(Plan.from_yaml(write_plan()))
    base, sft = stages[0], replace(stages[1], program="training/train_sft.py")
    beside = Thread(target=other.changed, args=(sft,))

    def late(path, content):
        if not beside.ident:
            beside.start()
            beside.join(0.5)  # it waits for us; without a lock it is done by then
        write_json(path, content)

    monkeypatch.setattr("quagpredict.collection.launch.write_json", late)
    assert one.changed(base) is None
    beside.join()
    assert {*json.loads((tmp_path / "work" / "programs.json").read_text())} == {base.program, sft.program}


def test_a_collector_that_was_stopped_while_it_wrote_keeps_nobody_for_ever(write_plan, tmp_path, monkeypatch):
    monkeypatch.setattr("quagpredict.collection.launch._PATIENCE_S", 0.1)
    base = stages_of(Plan.from_yaml(write_plan()))[0]
    with one_at_a_time(tmp_path / "work" / "collectors" / "programs.lock", 0.1):
        Programs(tmp_path / "work").changed(base)
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
    place = AttemptFiles(tmp_path / "attempt", tmp_path / "config.yaml", tmp_path / "log")
    place.folder.mkdir()
    place.log.write_text(before)
    stage = Stage("grpo", "a", "p", {}, {}, "key", "a")
    assert record_of_end(stage, place, code) is None
    assert reason_in(place.log) == reason
