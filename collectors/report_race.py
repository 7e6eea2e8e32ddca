"""Hold a race that `collect` carried out against the truth, and write the page.

    python collectors/report_race.py collectors/plans/lab-race.yaml datasets/lab-race --page docs/race-on-the-lab.md

The folder is one of `collectors/publish_corpus.py`, made again after `quagpredict collect PLAN --in-full` had taken all
runs to their end. What each decision said is in its records. Records in which a run went farther than the race had
asked for, before the race was over, are refused: its decisions could have known the truth.
"""

import argparse
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.collection.ledger import Attempt, attempt_of
from quagpredict.collection.rounds import rounds_of, total_cost
from quagpredict.collection.stages import stages_of
from quagpredict.corpus import read_corpus
from quagpredict.errors import InvalidDataError
from quagpredict.files import written_aside
from quagpredict.plans.plan import Plan
from quagpredict.program import run_program
from quagpredict.racing import Race
from quagpredict.report.ranking_figures import race_figure

Floats = NDArray[np.float64]


class Held(NamedTuple):
    """A race that is over, and how all its runs ended."""

    plan: Plan
    decisions: tuple[dict[str, Any], ...]
    taken: list[str]
    asked: frozenset[str]
    attempts: dict[str, Attempt]
    truth: pl.DataFrame
    curves: pl.DataFrame

    @property
    def last(self) -> dict[str, Any]:
        """The last decision."""
        return self.decisions[-1]

    def regret(self, candidate: str) -> float:
        """Return in points what choosing a candidate costs."""
        ends = dict(self.truth.select("candidate", "end").rows())
        return float(100 * (max(ends.values()) - ends[candidate]))


def held(plan: Plan, folder: Path) -> Held:
    """Read a race and its truth, and refuse one that could have known it."""
    lines = [pl.read_parquet(path, columns=["attempt"])["attempt"] for path in sorted(folder.glob("records-*.parquet"))]
    lines_read = [attempt_of(line.encode()) for part in lines for line in part]
    attempts = {attempt.stage: attempt for attempt in lines_read if attempt is not None}
    rounds = rounds_of(plan, stages_of(plan), list(attempts.values()))
    if not rounds.over:
        raise InvalidDataError(f"{folder}: the race of '{plan.name}' is not over; go on with `quagpredict collect`")
    asked = frozenset(stage.id for stage in rounds.stages)
    taken = [attempts[f"race/{number}"].started for number in range(1, len(rounds.decisions) + 1)]
    for stage, attempt in attempts.items():
        if _is_rl(stage) and stage not in asked and attempt.started < taken[-1]:
            raise InvalidDataError(f"{folder}: {stage} was run at {attempt.started}, before the race was over")
    corpus = read_corpus(folder / "corpus.parquet", nested=True)
    unknown = corpus.filter(pl.col("post_pass_at_1").is_null())["candidate"].to_list()
    if unknown:
        raise InvalidDataError(f"{folder}: {', '.join(unknown)} did not go to the end: `quagpredict collect --in-full`")
    truth = corpus.select(
        "candidate",
        "pre_pass_at_1",
        "pre_pass_at_64",
        "pre_held_out_loss_nats",
        end="post_pass_at_1",
    )
    curves = corpus.select("candidate", "post_curve").explode("post_curve").unnest("post_curve")
    return Held(plan, tuple(dict(decision) for decision in rounds.decisions), taken, asked, attempts, truth, curves)


def other_rules(race: Held) -> list[tuple[str, float, float]]:
    """Return what rules without a model would have spent, in RL steps, and lost, in points: (rule, steps, regret)."""
    assert race.plan.rl is not None
    assert race.plan.race is not None
    steps, rungs = race.plan.rl.steps, race.plan.race.rungs
    results = []
    for rule, column, sign in (
        ("the first by Pass@64 before RL, in full", "pre_pass_at_64", 1),
        ("the first by Pass@1 before RL, in full", "pre_pass_at_1", 1),
        ("the first by held-out loss, in full", "pre_held_out_loss_nats", -1),
    ):
        if race.truth[column].null_count() == race.truth.height:
            continue
        first = race.truth.sort(sign * pl.col(column), descending=True, nulls_last=True)["candidate"][0]
        results.append((rule, float(steps), race.regret(first)))
    ends = race.truth["end"].to_numpy()
    results.append(("one by chance, in full (mean)", float(steps), float(100 * (ends.max() - ends.mean()))))
    for score, column in (("Pass@1", "pass_at_1"), ("Pass@16", "pass_at_16")):
        if race.curves[column].null_count() == race.curves.height:
            continue
        left, spent, before = race.truth["candidate"].to_list(), 0.0, 0
        for rung in (*rungs, steps):
            spent += len(left) * (rung - before + race.plan.race.measure_cost)
            before = rung
            here = race.curves.filter(pl.col("step") == rung, pl.col("candidate").is_in(left))
            left = here.sort(column, descending=True)["candidate"].to_list()[: max(len(left) // 2, 1)]
        results.append((f"halving by {score}", spent, race.regret(left[0])))
    whole = race.truth.height * (steps + race.plan.race.measure_cost)
    return [*results, ("all in full", whole, 0.0)]


def page(race: Held, command: str, figure: str) -> str:
    """Return the page."""
    plan = race.plan
    assert plan.race is not None
    assert plan.rl is not None
    choice = race.last["choice"]
    order = race.truth.sort("end", descending=True)["candidate"].to_list()
    spent = total_cost(race.decisions)
    measured = plan.race.measure_cost * sum(len(decision["moves"]) for decision in race.decisions)
    inside = race.truth.join(pl.DataFrame(race.last["candidates"], infer_schema_length=None), on="candidate")
    stopped = inside.filter(pl.col("state") != "finished")
    held = stopped.filter(pl.col("end").is_between("low", "high")).height
    lines = [
        "# A race on the lab, and the truth",
        "",
        f"`quagpredict collect` carried out [the race](guide/race.md#a-plan-that-races-its-own-runs) of "
        f"[`{plan.name}`](../collectors/plans/{plan.name}.yaml): {race.truth.height} candidates of a base that no "
        f"corpus holds, recipes drawn at random, {plan.rl.steps} RL steps a run, and RL steps for "
        f"{plan.race.rl_steps / plan.rl.steps:g} runs. When it was over its decisions were committed, and then "
        "all runs were taken to the end. It is one race: it shows that the machinery works and what a decision looks "
        "like, not "
        "how races end on average ([simulations](race-simulations.md) do). This page is made by",
        "",
        "```bash",
        command,
        "```",
        "",
        "which refuses records in which a run went farther than the race had asked for before it was over.",
        "",
        "| | |",
        "| --- | --- |",
        f"| chosen | `{_short(choice)}`, which ended at {_percent(race, choice)} %, place {order.index(choice) + 1} of "
        f"{len(order)} |",
        f"| lost against the best, points | {race.regret(choice):.1f}; expected at the end "
        f"{100 * race.last['expected_regret']:.1f}, before the first step "
        f"{100 * race.decisions[0]['expected_regret']:.1f} |",
        f"| RL steps spent | {spent:g} of {plan.race.rl_steps:g}, {measured:g} of them for measuring; all in full take "
        f"{race.truth.height * (plan.rl.steps + plan.race.measure_cost):g} |",
        f"| decisions | {len(race.decisions)}, from {race.taken[0][:16]} to {race.taken[-1][:16]} UTC |",
        f"| runs that did not go to the end | {stopped.height}; for {held} of them the 90 % interval of the last "
        "forecast holds the truth |",
        "",
        "## What was decided",
        "",
        "| | spent before | start, go on | if it stopped here | expected regret |",
        "| ---: | ---: | --- | --- | ---: |",
    ]
    for number, decision in enumerate(race.decisions, start=1):
        moves = ", ".join(f"`{_short(move['candidate'])}` to {move['until']}" for move in decision["moves"])
        lines.append(
            f"| {number} | {decision['spent']:g} | {moves or 'over'} | `{_short(decision['choice'])}` | "
            f"{100 * decision['expected_regret']:.1f} |"
        )
    lines += [
        "",
        f"![Pass@1 along RL of the runs that were started, and where each was stopped]({figure})",
        "",
        "## What happened",
        "",
        "Scores in per cent; forecasts are those of the last decision.",
        "",
        "| candidate | Pass@1 before RL | Pass@64 | the race went to | forecast, 90 % | the end |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in inside.sort("end", descending=True).iter_rows(named=True):
        forecast = (
            ""
            if row["state"] == "finished"
            else f"{100 * row['forecast']:.0f}, {100 * row['low']:.0f} to {100 * row['high']:.0f}"
        )
        lines.append(
            f"| `{_short(row['candidate'])}` | {_cell(row['pre_pass_at_1'])} | {_cell(row['pre_pass_at_64'])} | "
            f"{row['step']} | {forecast} | {_cell(row['end'])} |"
        )
    lines += [
        "",
        "## What other rules would have done",
        "",
        "| rule | RL steps | regret, points |",
        "| --- | ---: | ---: |",
        f"| the race | {spent:g} | {race.regret(choice):.1f} |",
    ]
    lines += [f"| {rule} | {steps:g} | {regret:.1f} |" for rule, steps, regret in other_rules(race)]
    return "\n".join(lines) + "\n"


def picture(race: Held, path: Path) -> Path:
    """Draw the race as it was when it was over."""
    plan = race.plan
    assert plan.rl is not None
    known = [
        (row["candidate"], row["step"])
        for row in race.curves.iter_rows(named=True)
        if row["step"] == 0 or _measurement(plan, row["candidate"], row["step"]) in race.asked
    ]
    seen = pl.DataFrame(known, schema={"candidate": pl.String, "step": pl.Int64}, orient="row")
    curves = race.curves.join(seen, on=["candidate", "step"], how="semi").sort("candidate", "step")
    frame = pl.DataFrame(race.last["candidates"], infer_schema_length=None)
    shown = Race(frame, race.last["choice"], race.last["expected_regret"], 0.0, True, None, plan.rl.steps, curves, ())
    return race_figure(shown, path)


def _measurement(plan: Plan, candidate: str, step: int) -> str:
    assert plan.rl is not None
    run = f"{candidate}.rl-s{plan.rl.seeds[0]}"
    return f"evaluate-post/{run}" if step == plan.rl.steps else f"evaluate-along/{run}@{step}"


def _is_rl(stage: str) -> bool:
    return stage.startswith(("grpo/", "evaluate-along/", "evaluate-post/"))


def _percent(race: Held, candidate: str) -> str:
    return f"{100 * race.truth.filter(candidate=candidate)['end'].item():.1f}"


def _cell(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


def _short(candidate: str) -> str:
    """Return a name without its base and learning rate."""
    return candidate.partition(".")[2].partition("-lr")[0]


def main(arguments: list[str]) -> None:
    """Check the records, write page and picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", type=Path, help="a plan with a race")
    parser.add_argument("folder", type=Path, help="what `collectors/publish_corpus.py` made of it")
    parser.add_argument("--page", type=Path, required=True, help="Markdown file to write; its picture goes beside it")
    given = parser.parse_args(arguments)
    race = held(Plan.from_yaml(given.plan), given.folder)
    figure = Path("figures") / f"{given.page.stem}.png"
    picture(race, given.page.parent / figure)
    command = f"python collectors/report_race.py {given.plan} {given.folder} --page {given.page}"
    with written_aside(given.page) as aside:
        aside.write_text(page(race, command, str(figure)), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(run_program(main))
