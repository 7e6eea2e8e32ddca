"""A dry run says what is done and what would run, and that is what is run."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from quagpredict.cli import main
from quagpredict.collection.collecting import collect
from quagpredict.collection.planning import planned_commands
from quagpredict.plans.plan import Plan

WritePlan = Callable[..., Path]
NO_SFT = [{"base": "weak", "no_sft": True}]


@pytest.mark.usefixtures("inline")
def test_a_dry_run_prints_commands_and_writes_nothing(
    write_plan: WritePlan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, work = write_plan(candidates=NO_SFT), tmp_path / "work"
    assert main(["collect", str(file), "--out", str(work), "--dry-run"]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert said.err == "0 stages are done, 4 would run, 1 of them at once, 0 would not\n"
    stand_in = Plan.from_yaml(file).programs["base"]
    assert lines[:2] == [
        "# base/weak: ready",
        f"{sys.executable} {stand_in} --config {work}/logs/base-weak-1.yaml",
    ]
    assert [line for line in lines if line.startswith("#")][1:] == [
        "# evaluate-pre/weak.no-sft: waiting",
        "# grpo/weak.no-sft.rl-s0: waiting",
        "# evaluate-post/weak.no-sft.rl-s0: waiting",
    ]
    assert not work.exists()


@pytest.mark.usefixtures("inline")
def test_a_dry_run_says_what_is_done_and_what_would_run(
    write_plan: WritePlan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, work = str(write_plan(candidates=NO_SFT)), str(tmp_path / "work")
    collect(file, work)
    ledger = tmp_path / "work" / "ledger.jsonl"
    *rest, post = ledger.read_text().splitlines()
    ledger.write_text("\n".join([*rest, post.replace('"status":"done"', '"status":"failed"')]) + "\n")
    capsys.readouterr()
    assert main(["collect", file, "--out", work, "--dry-run"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[-2:] == ["# grpo/weak.no-sft.rl-s0: done", "# evaluate-post/weak.no-sft.rl-s0: failed"]
    assert said.err == (
        "3 stages are done, 0 would run, 0 of them at once, 1 would not (1 failed; --retry-failed tries them again)\n"
    )
    assert main(["collect", file, "--out", work, "--dry-run", "--retry-failed"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[-2] == "# evaluate-post/weak.no-sft.rl-s0: ready"
    assert said.out.splitlines()[-1].startswith(sys.executable)
    assert said.err == "3 stages are done, 1 would run, 1 of them at once, 0 would not\n"


@pytest.mark.usefixtures("inline")
def test_a_planned_command_is_what_is_run(write_plan: WritePlan, tmp_path: Path) -> None:
    plan, work = Plan.from_yaml(write_plan(candidates=NO_SFT)), tmp_path / "work"
    commands = [command for _, _, command in planned_commands(plan, work)]
    collect(plan, work)
    assert all(Path(command.split()[-1]).is_file() for command in commands)
    assert {state for _, state, _ in planned_commands(plan, work)} == {"done"}
