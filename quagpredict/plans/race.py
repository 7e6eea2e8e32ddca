"""The section ``race`` of a plan: its runs share RL steps for a part of them only."""

from dataclasses import dataclass

from quagpredict.errors import UsageError
from quagpredict.plans.parts import Candidate, ReinforcementLearning
from quagpredict.plans.section import Section
from quagpredict.shipped import shipped_path


@dataclass(frozen=True)
class RaceRules:
    """How the runs of a plan are raced: see `quagpredict.race`, whose arguments these are.

    Attributes
    ----------
    rl_steps : float
        What the whole race may spend; `budget` in plans of earlier versions.
    rungs : tuple of int
        Steps at which a run may pause and be measured.
    measure_cost : float
        What a measurement costs, in RL steps.
    """

    rl_steps: float
    rungs: tuple[int, ...]
    measure_cost: float = 0.0
    parallel: int = 1
    prior: str = "default"
    learn_from: tuple[str, ...] | None = None
    gate: str | float | None = None
    margin: float = 0.0
    gate_probability: float = 0.5
    tolerance: float = 0.001


def race_of(section: Section, rl: ReinforcementLearning | None, candidates: tuple[Candidate, ...]) -> RaceRules:
    """Read the section ``race`` of a plan.

    Raises
    ------
    RecipeError
        If it is wrong, or the plan's runs cannot be raced; the message names the key.
    """
    numbers = ("measure_cost", "margin", "gate_probability", "tolerance")
    section.only("rl_steps", "budget", "rungs", "parallel", "prior", "learn_from", "gate", *numbers)
    if {"rl_steps", "budget"} <= section.content.keys():
        raise section.error("budget", "is what 'rl_steps' was called: give one of them")
    if rl is None or rl.steps < 1:
        raise section.error("rungs", "a race needs an 'rl' recipe that says 'max_steps'")
    if rl.measure_at:
        raise section.error("rungs", "runs are measured where they pause: give 'rungs' here, not 'rl.measure_at'")
    for candidate in candidates:
        if len(candidate.rl_seeds) > 1 or candidate.rl_further:
            raise section.error(
                "rungs", f"a race has one run of each candidate, to the recipe's end; '{candidate.name}' has other runs"
            )
    rungs = sorted(section.listed("rungs", int, low=1))
    if rungs[-1] >= rl.steps:
        raise section.error("rungs", f"expected steps below max_steps of the recipe ({rl.steps}), got {rungs[-1]}")
    gate = section.content.get("gate")
    if gate is not None and (isinstance(gate, bool) or not isinstance(gate, str | int | float)):
        raise section.error("gate", f"expected a score, a candidate or no-sft, got {gate!r}")
    if gate is None and section.content.get("margin"):
        raise section.error("margin", "a margin needs a gate")
    prior = section.text("prior", "default")
    learn_from = section.listed("learn_from", str) if "learn_from" in section.content else None
    for position, path in enumerate(learn_from or ()):
        try:
            shipped_path(path)
        except UsageError as error:
            raise section.error(f"learn_from[{position}]", str(error)) from None
    return RaceRules(
        rl_steps=section.number("budget" if "budget" in section.content else "rl_steps", 1, 1e15),
        rungs=tuple(rungs),
        measure_cost=section.number("measure_cost", 0, 1e15, 0.0),
        parallel=section.whole("parallel", 1, 1),
        prior=prior,
        learn_from=None if learn_from is None else tuple(learn_from),
        gate=gate,
        margin=section.number("margin", -1, 1, 0.0),
        gate_probability=section.number("gate_probability", 1e-6, 1, 0.5),
        tolerance=section.number("tolerance", 0, 1, 0.001),
    )
