"""A race on the terminal and in a picture, also where there is little to show."""

import io

import polars as pl
import pytest
from rich.console import Console

from quagpredict.errors import UsageError
from quagpredict.racing import race
from quagpredict.report.race_tables import print_race
from quagpredict.report.ranking_figures import race_figure
from quagpredict.shipped import shipped_path

WHO = pl.DataFrame(
    {
        "candidate": ["a\x1b[31m", "b", "c"],
        "pre_pass_at_1": [0.2, 0.3, 0.1],
        "pre_pass_at_16": [0.5, 0.5, 0.2],
    }
)


@pytest.fixture(scope="module")
def asked():
    columns = ["candidate", "base_model", "rl_seed", "post_curve"]
    learnt = pl.read_parquet(shipped_path("datasets/lab-2/corpus.parquet"), columns=columns)
    return lambda *points, **settings: race(
        WHO,
        pl.DataFrame(points, schema=["candidate", "step", "pass_at_1"], orient="row") if points else None,
        **{"rl_steps": 200, "learn_from": [learnt], **settings},
    )


def shown(found, width, **settings):
    handle = io.StringIO()
    print_race(found, Console(file=handle, width=width, highlight=False), **settings)
    return handle.getvalue()


def test_every_width_names_every_run_and_what_it_is_told(asked):
    found = asked(("b", 50, 0.5), ("c", 50, 0.12), budget=400)
    for width in (60, 80, 140):
        text = shown(found, width)
        assert "\x1b" not in text
        assert all(name in text for name in ("a?[31m", "b", "c"))
        assert all(action in text for action in set(found.frame["action"]))
        assert max(map(len, text.splitlines())) <= width
    assert "state" in shown(found, 140)
    assert "state" not in shown(found, 60)
    assert "and 2 more candidates" in shown(found, 100, top=1)


def test_the_end_and_none_are_said(asked):
    over = asked(("b", 200, 0.9), budget=0)
    assert "The race is over: take b; expected regret" in shown(over, 200)
    assert "None is worth RL" in shown(asked(gate=0.999), 100)
    assert over.frame.write_csv().startswith("candidate,state,step,score,forecast")


@pytest.mark.parametrize("points", [[], [("b", 50, 0.5), ("c", 50, 0.12)], [("b", 200, 0.9)]])
@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_picture_is_drawn_whatever_was_run(asked, points, suffix, tmp_path):
    path = race_figure(asked(*points, budget=400), tmp_path / f"race.{suffix}")
    assert path.stat().st_size > 5_000
    if suffix == "svg" and points:
        assert "RL steps" in path.read_text(encoding="utf-8")


def test_a_picture_needs_a_known_suffix(asked, tmp_path):
    with pytest.raises(UsageError, match="must end in"):
        race_figure(asked(), tmp_path / "race.gif")
