"""What a collection will cost: from the times of stages that were run, else from what the plan assumes."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from quagpredict.arguments import check_arguments
from quagpredict.collection.ledger import Attempt, read_ledger
from quagpredict.collection.stages import KINDS, RESUME, SAMPLES, Kind, Stage, stages_of
from quagpredict.collection.standing import Standing
from quagpredict.collection.work_folder import WorkFolder
from quagpredict.errors import UsageError
from quagpredict.plans.parts import Assumptions, AutoSamples, Candidate
from quagpredict.plans.plan import Plan

# Floating-point operations a parameter and token: forward 2, backward 4, and 2 more where activations are recomputed.
_TRAINING, _RECOMPUTED = 6, 2
# Bytes a parameter: of weights by type (unnamed: float32), and of AdamW's moments and master weights in float32.
_BYTES = {"bfloat16": 2, "float16": 2}
_OPTIMIZER = 12
_RL: tuple[Kind, ...] = ("grpo", "evaluate-along", "evaluate-post")


class KindCost(NamedTuple):
    """The cost of one kind of stage.

    Attributes
    ----------
    stages : int
        How many there are in the plan.
    hours : float
        Machine-hours of all of them together: the time that the plan's GPUs (or one core, in the lab) are held.
    gpu_hours : float or None
        The same times the number of GPUs; None where times were measured and the plan does not say how many it uses.
    disk_gib : float or None
        Weights that they leave behind, all together; None where the plan does not say how large its models are.
    working_gib : float or None
        The most that a stage keeps beside them until it is done: checkpoints with the optimizer's state.
    how : str
        What the hours were computed from.
    """

    kind: Kind
    stages: int
    hours: float
    gpu_hours: float | None
    disk_gib: float | None
    working_gib: float | None
    how: str


class Estimate(NamedTuple):
    """What a whole plan costs.

    Attributes
    ----------
    notes : tuple of str
        What a reader must know, one sentence each.
    """

    costs: list[KindCost]
    notes: tuple[str, ...]


def estimate_cost(plan: Plan | str | Path, out: str | Path | None = None) -> Estimate:
    """Estimate what a plan costs, from the stages that its work folder has and from what the plan assumes.

    Parameters
    ----------
    plan : Plan or path
        A path, also of a shipped plan, is read with `Plan.from_yaml`.
    out : path, optional
        The work folder, as for `quagpredict.collect`; without one there, nothing was run.

    Raises
    ------
    UsageError
        If stages of a kind were never run and the plan has no ``estimate`` section.
    RecipeError
        If the plan is not valid.

    Examples
    --------
    >>> found = estimate_cost("collectors/plans/paper-qwen3-4b.yaml", "runs/none")
    >>> [cost.kind for cost in found.costs][:2], "less than RL for all" in found.notes[-1]
    (['sft', 'evaluate-pre'], True)
    """
    check_arguments(estimate_cost, locals())
    plan = plan if isinstance(plan, Plan) else Plan.from_yaml(plan)
    ledger = WorkFolder(out or Path("runs") / plan.name).ledger
    costs = estimate(plan, read_ledger(ledger) if ledger.exists() else ())
    notes = []
    working = max((cost.working_gib or 0.0 for cost in costs), default=0.0)
    if working >= 1.0:
        notes.append(
            f"GiB are of weights that stay; a stage in training holds up to {working:,.0f} GiB more to resume from"
        )
    return Estimate(costs, (*notes, *_worth(plan, costs)))


def _worth(plan: Plan, costs: Sequence[KindCost]) -> list[str]:
    """Say what measuring and RL cost, and what is saved where RL is for the best alone."""
    hours = {cost.kind: cost.hours for cost in costs}
    rl, measuring = (sum(hours.get(kind, 0.0) for kind in kinds) for kinds in (_RL, ("evaluate-pre",)))
    if not rl or not measuring or plan.race is not None:  # a race says itself what it pays for
        return []
    notes = []
    rule = plan.evaluation.auto
    runs = Counter(candidate.base for candidate in plan.candidates for _ in candidate.rl_seeds)
    top = (rule or AutoSamples()).top
    part = sum(min(top, count) for count in runs.values()) / runs.total()
    most = measuring
    duration = f"{measuring:,.1f} hours"
    if rule is not None:
        most = measuring * rule.most / rule.first
        duration += (
            f" with {rule.first} samples, {most:,.1f} if the place of every candidate stayed open until {rule.most}"
        )
    else:
        if measuring > rl:
            notes.append(
                f"measuring before RL takes {measuring / rl:.1f} times what RL takes; with `samples_before: auto` most "
                f"candidates get {AutoSamples().first} samples"
            )
    notes.append(f"RL for all takes {rl:,.1f} hours, with the measuring after it; measuring before it takes {duration}")
    notes.append(
        f"measuring, and RL for the best {top} of each base alone, is {_against(measuring / rl + part)} than RL for all"
        + (f", at worst {_against(most / rl + part)}" if most > measuring else "")
    )
    return notes


def _against(share: float) -> str:
    return f"{1 - share:.0%} less" if share <= 1 else f"{share - 1:.0%} more"


def estimate(plan: Plan, attempts: Iterable[Attempt] = ()) -> list[KindCost]:
    """Estimate what the whole plan costs, kind by kind.

    A kind of which stages were run costs their mean time. Any other is computed from the plan's ``estimate`` section:

    - SFT: tokens x parameters x 6 operations (8 with gradient checkpointing) over what the GPUs deliver;
    - evaluation: problems x samples x tokens of a response over the rate of generation; where results decide how many
      samples there are, the first of them alone;
    - RL: a step's responses are generated at that rate and trained on as in SFT.

    Of a race, RL and what is measured along and after it count by the share of all runs in full that the budget pays.

    Loading, saving and grading are left out, and so is the waiting of GPUs for the longest response. Disk is that of
    weights (2 bytes a parameter in bfloat16), and while training of the checkpoints that a stage goes on from (12 bytes
    more, of AdamW in float32); samples and logs are small beside them.

    Parameters
    ----------
    attempts : iterable of Attempt
        What was run so far.

    Raises
    ------
    UsageError
        If stages of a kind were never run and the plan has no ``estimate`` section.
    """
    means = Standing((), attempts).mean_seconds
    of_kind: dict[Kind, list[Stage]] = {}
    for stage in stages_of(plan):
        if SAMPLES in stage.inputs:  # only if results ask for it
            continue
        of_kind.setdefault(stage.kind, []).append(stage)
    costs = []
    for kind in (kind for kind in KINDS if kind in of_kind):
        stages = of_kind[kind]
        assumed = plan.assumptions
        if kind in means:
            hours, how = len(stages) * means[kind] / 3600, f"mean of the stages that were run, {means[kind]:.0f} s"
        elif assumed is None:
            raise UsageError(
                f"no '{kind}' stage was run yet and plan '{plan.name}' has no 'estimate' section: run a few candidates "
                "with limit=10, or write the section"
            )
        else:
            seconds = [_seconds(plan, stage, assumed) for stage in stages]
            hours, how = sum(seconds) / 3600, _how(kind, assumed)
        if plan.race is not None and kind in ("grpo", "evaluate-along", "evaluate-post"):
            share = _raced_share(plan, of_kind)
            hours, how = hours * share, f"{how}; the race has budget for {share:.0%} of all runs in full"
        gpu_hours = disk = working = None
        if assumed is not None:
            gpu_hours = hours * assumed.gpus
            left, kept = zip(*(_gib(plan, stage, assumed) for stage in stages), strict=True)
            disk, working = sum(left), max(kept)
        costs.append(KindCost(kind, len(stages), hours, gpu_hours, disk, working, how))
    return costs


def _raced_share(plan: Plan, of_kind: Mapping[Kind, list[Stage]]) -> float:
    """Return which share of all runs in full, each measured at every rung, the budget of a race pays for."""
    assert plan.race is not None
    assert plan.rl is not None
    measured = len(of_kind["evaluate-along"]) + len(of_kind["evaluate-post"])
    whole = len(of_kind["evaluate-post"]) * plan.rl.steps + measured * plan.race.measure_cost
    return min(plan.race.rl_steps / whole, 1.0)


def _gib(plan: Plan, stage: Stage, assumed: Assumptions) -> tuple[float, float]:
    """Return what a stage leaves on disk, and what it keeps there to go on from, in GiB; 0 where nothing is trained."""
    if stage.kind not in ("sft", "grpo"):
        return 0.0, 0.0
    parameters = assumed.parameters[_candidate(plan, stage).base] / 2**30
    weights = parameters * _BYTES.get(str(stage.config.get("dtype")), 4)
    models = 1 + len(stage.config.get("keep_epochs", stage.config.get("keep_steps", ())))
    # Of a run that pauses, one state is there at a time: as large as what it would go on from after a kill.
    paused = "pause_at" in stage.config and RESUME not in stage.inputs
    resumable = stage.config.get("save_strategy", "steps") != "no"
    copies = int(stage.config.get("save_total_limit") or 1) + 1  # the new one is written before the oldest goes
    state = weights + parameters * _OPTIMIZER
    return models * weights + paused * state, copies * state if resumable else 0.0


def _candidate(plan: Plan, stage: Stage) -> Candidate:
    return next(candidate for candidate in plan.candidates if candidate.name == stage.candidate)


def _seconds(plan: Plan, stage: Stage, assumed: Assumptions) -> float:
    parameters = assumed.parameters[_candidate(plan, stage).base]
    config = stage.config
    if stage.kind == "base":
        raise UsageError(f"the cost of making base model '{stage.name}' cannot be assumed; run it once")
    if stage.kind == "sft":
        tokens = config["unique_examples"] * config["num_train_epochs"] * assumed.tokens_per_example
        return _training(tokens, parameters, config, assumed)
    if stage.kind == "grpo":
        responses = _responses_a_step(config, assumed)
        steps = config.get("pause_at", config["max_steps"]) - _steps_before(stage)
        tokens = steps * responses * assumed.tokens_per_response
        return _generation(tokens, assumed) + _training(tokens, parameters, config, assumed)
    return _generation(assumed.problems * config["samples"] * assumed.tokens_per_response, assumed)


def _steps_before(stage: Stage) -> int:
    """Return after how many steps a part of a run begins."""
    if RESUME not in stage.inputs:
        return 0
    return int(stage.inputs[RESUME].rpartition("@")[2])


def _training(tokens: float, parameters: float, config: Mapping[str, Any], assumed: Assumptions) -> float:
    operations = _TRAINING + (_RECOMPUTED if config.get("gradient_checkpointing", True) else 0)
    return tokens * parameters * operations / (assumed.gpus * assumed.gpu_tflops * 1e12 * assumed.utilization)


def _generation(tokens: float, assumed: Assumptions) -> float:
    return tokens / (assumed.gpus * assumed.tokens_per_second)


def _responses_a_step(config: Mapping[str, Any], assumed: Assumptions) -> float:
    return float(
        config.get("per_device_train_batch_size", 8) * config.get("gradient_accumulation_steps", 1) * assumed.gpus
    )


def _how(kind: Kind, assumed: Assumptions) -> str:
    machine = f"{assumed.gpus} GPUs"
    training = f"{assumed.gpu_tflops:g} TFLOP/s at {assumed.utilization:.0%}"
    generation = f"{assumed.tokens_per_second:,.0f} tokens/s a GPU"
    if kind == "sft":
        return f"{assumed.tokens_per_example:,.0f} tokens an example, {machine}, {training}"
    response = f"{assumed.tokens_per_response:,.0f} tokens a response"
    if kind == "grpo":
        return f"{response}, {machine}, {generation}, then {training}"
    return f"{assumed.problems:,} problems, {response}, {machine}, {generation}"
