"""The page of a race that was carried out: only of one that could not have known the truth."""

import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quagpredict.collection.collecting import collect
from quagpredict.errors import InvalidDataError
from quagpredict.plans.plan import Plan
from quagpredict.shipped import shipped_path

from .conftest import decisions_in


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Run a program of ``collectors/`` in this process."""

    def run(name: str, *arguments: object) -> None:
        path = shipped_path(f"collectors/{name}.py")
        monkeypatch.setattr(sys, "path", [str(path.parent), *sys.path])
        runpy.run_path(str(path))["main"]([str(argument) for argument in arguments])

    return run


@pytest.mark.usefixtures("inline")
def test_a_race_is_held_against_the_truth(
    write_race: Callable[..., Path],
    programs: Callable[..., None],
    tmp_path: Path,
) -> None:
    file, work, folder = write_race(race={"rl_steps": 9}), tmp_path / "work", tmp_path / "shipped"
    report: tuple[Any, ...] = ("report_race", file, folder, "--page", tmp_path / "docs" / "page.md")
    plan = Plan.from_yaml(file)
    collect(plan, work, until="evaluate-pre")
    programs("publish_corpus", file, work, folder)
    with pytest.raises(InvalidDataError, match="the race of 'tiny' is not over"):
        programs(*report)
    collect(plan, work)
    programs("publish_corpus", file, work, folder)
    with pytest.raises(InvalidDataError, match="did not go to the end: `quagpredict collect --in-full`"):
        programs(*report)
    collect(plan, work, in_full=True)
    programs("publish_corpus", file, work, folder)
    programs(*report)
    page = (tmp_path / "docs" / "page.md").read_text()
    assert (tmp_path / "docs" / "figures" / "page.png").stat().st_size > 1000
    last = decisions_in(work)[-1]
    assert f"| the race | {last['spent']:g} | " in page
    assert "| all in full | 22.5 | 0.0 |" in page  # three runs of 7 steps and a measurement each
    assert page.count("| over |") == 1


@pytest.mark.usefixtures("inline")
def test_a_race_that_could_have_known_the_truth_is_refused(
    write_race: Callable[..., Path],
    programs: Callable[..., None],
    tmp_path: Path,
) -> None:
    file, work, folder = write_race(race={"rl_steps": 9}), tmp_path / "work", tmp_path / "shipped"
    plan = Plan.from_yaml(file)
    collect(plan, work)
    collect(plan, work, in_full=True)
    ledger = work / "ledger.jsonl"
    lines = ledger.read_text().splitlines()
    lines[-1] = re.sub('"started":"[0-9]{4}', '"started":"2001', lines[-1])
    ledger.write_text("\n".join(lines) + "\n")
    programs("publish_corpus", file, work, folder)
    with pytest.raises(InvalidDataError, match=r"was run at 2001.*, before the race was over"):
        programs("report_race", file, folder, "--page", tmp_path / "page.md")
