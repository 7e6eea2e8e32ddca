import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quagpredict.collection.ledger import Attempt
from quagpredict.collection.progress import Progress, remaining_seconds, spoken
from quagpredict.collection.stages import Stage, stages_of, states_of
from quagpredict.plans.plan import Plan

MEANS: Any = {"base": 100.0, "sft": 10.0, "evaluate-pre": 8.0, "grpo": 150.0, "evaluate-post": 4.0}


@pytest.fixture
def stages(write_plan: Callable[..., Path]) -> tuple[Stage, ...]:
    return stages_of(Plan.from_yaml(write_plan()))


def done(stages: tuple[Stage, ...], *kinds: str) -> list[Attempt]:
    return [Attempt(one.key, one.id, "done", None, "", "", 1.0) for one in stages if one.kind in kinds]


def test_before_any_measurement_the_time_is_unknown(stages: tuple[Stage, ...]) -> None:
    states = states_of(stages, [])
    assert remaining_seconds(stages, states, {}, {}, 2) is None
    assert remaining_seconds(stages, states, {kind: MEANS[kind] for kind in ("base", "sft")}, {}, 2) is None
    assert spoken(None) == "unknown"


def test_work_is_shared_by_the_workers(stages: tuple[Stage, ...]) -> None:
    states = states_of(stages, done(stages, "base"))
    work = 2 * 10 + 3 * (8 + 150 + 4)
    assert remaining_seconds(stages, states, MEANS, {}, 1) == work
    assert remaining_seconds(stages, states, MEANS, {}, 2) == work / 2


def test_no_number_of_workers_shortens_a_chain(stages: tuple[Stage, ...]) -> None:
    assert remaining_seconds(stages, states_of(stages, []), MEANS, {}, 1000) == 100 + 10 + 150 + 4


def test_what_runs_already_counts_by_what_is_left_of_it(stages: tuple[Stage, ...]) -> None:
    states = states_of(stages, done(stages, "base", "sft", "evaluate-pre"))
    grpo = next(stage.id for stage in stages if stage.kind == "grpo")
    whole = remaining_seconds(stages, states, MEANS, {}, 1)
    assert whole == 3 * 154
    assert remaining_seconds(stages, states, MEANS, {grpo: 50.0}, 1) == whole - 50
    assert remaining_seconds(stages, states, MEANS, {grpo: 1e6}, 1) == whole - 150


def test_a_kind_that_is_not_needed_any_more_need_not_be_measured(stages: tuple[Stage, ...]) -> None:
    states = states_of(stages, done(stages, "base", "sft", "evaluate-pre", "grpo"))
    assert remaining_seconds(stages, states, {"evaluate-post": 4.0}, {}, 1) == 12


def test_what_failed_or_is_blocked_takes_no_time(stages: tuple[Stage, ...]) -> None:
    base = stages[0]
    states = states_of(stages, [Attempt(base.key, base.id, "failed", None, "", "", 1.0)])
    assert remaining_seconds(stages, states, {}, {}, 1) == 0


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (119.4, "119 s"), (120, "2 min"), (7140, "119 min"), (7200, "2 h 00 min")]
)
def test_times_in_words(seconds: float, text: str) -> None:
    assert spoken(seconds) == text


def test_without_a_terminal_there_are_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with Progress() as progress:
        progress.show(1, 3, ["sft/a"], 5.0)
        progress.say("[1/3] sft/a: done")
    assert sys.stderr.getvalue() == "[1/3] sft/a: done\n"  # type: ignore[attr-defined]


def test_on_a_terminal_there_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(sys, "stderr", Terminal())
    with Progress() as progress:
        progress.say("[1/3] sft/[bold]: done")
        progress.show(1, 3, ["grpo/a"], None)
    said = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert "[1/3] sft/[bold]: done" in said
    assert "1/3" in said.split("done")[-1]
    assert "unknown left  grpo/a" in said
