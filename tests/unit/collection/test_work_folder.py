import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from quagpredict.collection.ledger import Attempt, Ledger
from quagpredict.collection.stages import Stage, stages_of
from quagpredict.collection.work_folder import WorkFolder
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
    make(work.next_place(stages[0]).folder, "half", whole=False)
    assert recover(work, stages) == ([], [])
    assert left(work) == {}


def test_an_attempt_with_a_torn_record_is_removed(work: WorkFolder, stages: tuple[Stage, ...]) -> None:
    folder = work.next_place(stages[0]).folder
    make(folder, "half")
    (folder / RECORD_NAME).write_text('{"program": "p"')
    assert recover(work, stages) == ([], [])
    assert left(work) == {}


def test_an_attempt_with_a_record_is_saved(work: WorkFolder, stages: tuple[Stage, ...]) -> None:
    make(work.next_place(stages[0]).folder, "new")
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
    make(work.next_place(stages[0]).folder, "new")
    make(work.stage(stages[0].id), "old")
    assert recover(work, stages, done(stages[0], "0ld"), done(stages[0])) == ([], [])
    assert left(work) == {stages[0].id: "new"}


def test_a_half_removed_old_folder_does_not_matter(work: WorkFolder, stages: tuple[Stage, ...]) -> None:
    make(work.next_place(stages[0]).folder, "new")
    make(work.stage(stages[0].id), "old", whole=False)
    assert recover(work, stages, done(stages[0])) == ([], [])
    assert left(work) == {stages[0].id: "new"}


def test_a_finished_attempt_of_another_recipe_is_removed(work: WorkFolder, stages: tuple[Stage, ...]) -> None:
    folder = work.next_place(stages[0]).folder
    make(folder.with_name(folder.name.replace(stages[0].key, "abc123")), "other")
    make(work.stage(stages[0].id), "mine")
    assert recover(work, stages, done(stages[0])) == ([], [])
    assert left(work) == {stages[0].id: "mine"}


def test_attempts_are_numbered_past_what_was_logged(work: WorkFolder, stages: tuple[Stage, ...]) -> None:
    stage = stages[0]
    first = work.next_place(stage)
    work.prepare(stage, first)
    second = work.next_place(stage)
    assert (first.log.name, second.log.name) == ("base-weak-1.log", "base-weak-2.log")
    assert second.folder.name == f"weak.attempt-{stage.key}-2"
    (work.logs / "base-weak-er-7.yaml").touch()  # another base, whose name begins alike
    assert work.next_place(stage) == second


def test_the_config_of_an_attempt(work: WorkFolder, stages: tuple[Stage, ...]) -> None:
    sft = stages[1]
    place = work.next_place(sft)
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
    folder = work.next_place(stages[0]).folder
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
        place = work.next_place(stage)
        work.prepare(stage, place)
        (place.folder / part).parent.mkdir()
        (place.folder / part).write_text("hours")
        if part.startswith("checkpoint"):
            (place.folder / "checkpoint-20" / "trainer_state.json").write_text("{}")
            (place.folder / "checkpoint-40").mkdir()
            (place.folder / "checkpoint-40" / "optimizer.pt").write_text("cut off")
        work.give_up(place.folder)
        assert recover(work, stages)[0] == []
        again = work.next_place(stage)
        work.prepare(stage, again)
        assert (again.folder / part).exists() == kept
        assert place.folder.exists() == (place.folder == again.folder)
        (again.folder / "weights.txt").write_text("done")
        work.keep(again.folder, stage.id)
        assert (work.stage(stage.id) / "checkpoint-20").exists() is False
        assert (work.stage(stage.id) / "samples").exists() == (stage is stages[0])


def test_what_another_recipe_left_is_removed(work: WorkFolder, stages: tuple[Stage, ...]) -> None:
    place = work.next_place(stages[0])
    work.prepare(stages[0], place)
    (place.folder / "samples").mkdir()
    other = place.folder.with_name(place.folder.name.replace(stages[0].key, "abc123"))
    place.folder.rename(other)
    assert recover(work, stages) == ([], [])
    assert left(work) == {}
