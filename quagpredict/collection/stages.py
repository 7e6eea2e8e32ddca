"""What a plan's stages are and which of them comes next: pure functions of the plan and of the attempts so far."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from quagpredict.collection.ledger import Attempt
from quagpredict.files import digest
from quagpredict.plans.parts import Candidate
from quagpredict.plans.plan import Plan
from quagpredict.plans.recipe import recipe_id, rl_recipe_id
from quagpredict.program import PAUSED

Kind = Literal["base", "sft", "evaluate-pre", "measure", "grpo", "evaluate-along", "evaluate-post", "race"]
# The kinds that `collect --until` may name.
Until = Literal["base", "sft", "evaluate-pre", "grpo", "evaluate-along", "evaluate-post"]
State = Literal["done", "ready", "waiting", "failed", "blocked"]
OPEN: tuple[State, ...] = ("ready", "waiting", "blocked")
# The kinds that a program runs. Decisions are taken by `collect` itself: which candidates get more samples
# (`quagpredict.collection.measuring`), which runs of a race go on (`quagpredict.collection.rounds`).
KINDS: tuple[Kind, ...] = ("base", "sft", "evaluate-pre", "grpo", "evaluate-along", "evaluate-post")
DECISIONS: tuple[Kind, ...] = ("measure", "race")
# Kind -> the program that runs it, as a plan names programs.
ROLE_OF: dict[Kind, str] = {
    **{"base": "base", "sft": "sft", "grpo": "rl"},
    **{"evaluate-pre": "evaluate", "evaluate-along": "evaluate", "evaluate-post": "evaluate"},
}
_SPEED_ONLY = {"batch_size", "workers", "engine_settings"}  # keys of evaluation that no result depends on
_MODEL, _CHECKPOINT = "model_name_or_path", "checkpoint"  # config keys that tell a program its model
RESUME = "resume_from_checkpoint"  # and what a paused run goes on from
SAMPLES = "samples_from"  # and a measurement with more samples where the first of them are


@dataclass(frozen=True)
class Stage:
    """One program run.

    Attributes
    ----------
    kind, name : str
        ``{kind}/{name}`` is its identity within the plan and its folder under ``stages/``.
    program : str
        Path of the program, relative to a checkout or to the shipped files.
    config : mapping
        Its resolved config without ``output_dir`` and without the keys of `inputs`.
    inputs : mapping
        Config key -> identity of the stage whose folder is that key's value.
    key : str
        Digest of program, config and the inputs' keys: equal keys, equal work.
    candidate : str
        The candidate it belongs to; for a base, the first candidate that needs it.
    parts : mapping
        Config key -> the part of that input's folder that is meant, e.g. ``at-50``; absent for the whole.
    """

    kind: Kind
    name: str
    program: str
    config: Mapping[str, Any] = field(repr=False)
    inputs: Mapping[str, str]
    key: str
    candidate: str
    parts: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """``{kind}/{name}``."""
        return f"{self.kind}/{self.name}"

    @property
    def needs(self) -> dict[str, str]:
        """Config key -> what of which stage is needed there: ``{kind}/{name}``, or ``{kind}/{name}/{part}``."""
        return {
            key: f"{identity}/{self.parts[key]}" if key in self.parts else identity
            for key, identity in self.inputs.items()
        }


@dataclass(frozen=True)
class Row:
    """One row of the corpus: a candidate, and a run of it if there is one; with the stages that it is made of.

    `along` are the measurements on the way, `paused` the parts of the run before each pause; both by step. `more` are
    the measurements before RL with more samples than `pre`, if results decide about them; fewest first.
    """

    candidate: Candidate
    rl_seed: int | None
    recipe_id: str
    rl_recipe_id: str | None
    sft: str | None
    pre: str
    grpo: str | None
    post: str | None
    along: Mapping[int, str] = field(default_factory=dict)
    paused: Mapping[int, str] = field(default_factory=dict)
    more: tuple[str, ...] = ()


def run_name(candidate: Candidate, rl_seed: int) -> str:
    """Return the name of a run: ``{candidate}.rl-s{seed}``."""
    return f"{candidate.name}.rl-s{rl_seed}"


def sft_config(plan: Plan, candidate: Candidate) -> dict[str, Any]:
    """Return the resolved SFT config of a candidate, without paths: recipe, then data entry, then the plan's keys."""
    assert plan.sft is not None
    assert candidate.data is not None
    return {
        **plan.sft.config,
        **plan.data[candidate.data],
        "num_train_epochs": candidate.epochs,
        "learning_rate": candidate.learning_rate,
        "seed": candidate.seed,
        "unique_examples": candidate.unique_examples,
    }


def checkpoint_folder(step: float) -> str:
    """Return the name of the folder in which a training program keeps a checkpoint, by its step or epoch."""
    return f"at-{step:g}"


class _Model(NamedTuple):
    """How a stage is told its model: by a plain value, or as a stage's folder or a part of it."""

    value: str | None = None
    stage: str = ""
    within: str = ""


class _Stages:
    """The stages of a plan, each after its inputs."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.by_id: dict[str, Stage] = {}
        self._epochs: dict[str, list[float]] = {}  # of an SFT run those whose checkpoints are candidates
        for candidate in plan.candidates:
            if candidate.checkpoint_epoch is not None:
                self._epochs.setdefault(candidate.sft_name, []).append(candidate.checkpoint_epoch)
        for candidate in plan.candidates:
            self._add_candidate(candidate)

    def _add(
        self, kind: Kind, name: str, role: str, config: Mapping[str, Any], owner: str, models: Mapping[str, _Model]
    ) -> str:
        """Add a stage unless it is there; `models` are by the config keys that tell its program its models."""
        identity = f"{kind}/{name}"
        if identity in self.by_id:
            return identity
        program = self._plan.programs[role]
        inputs = {key: model.stage for key, model in models.items() if model.stage}
        parts = {key: model.within for key, model in models.items() if model.within}
        config = {k: v for k, v in config.items() if k not in inputs and k != "output_dir"}
        config |= {key: model.value for key, model in models.items() if model.value is not None}
        content: dict[str, Any] = {
            "program": program,
            "config": config,
            "inputs": {k: self.by_id[i].key for k, i in inputs.items()},
        }
        if role == "evaluate":  # a suite counts by what it says
            suite = {"suite": self._plan.evaluation.suite.config}
            # Of an engine's settings, this one alone changes results by more than the order of additions.
            dtype = {k: v for k, v in config.get("engine_settings", {}).items() if k == "dtype"}
            content["config"] = {k: v for k, v in config.items() if k not in _SPEED_ONLY} | suite | dtype
        for key, part in parts.items():
            if key != RESUME:  # always the same part
                content["within"] = part
        self.by_id[identity] = Stage(kind, name, program, config, inputs, digest(content), owner, parts)
        return identity

    def _add_candidate(self, candidate: Candidate) -> None:
        plan, name = self._plan, candidate.name
        base = plan.base(candidate.base)
        model = _Model(base.model_name_or_path)
        if base.pretrain is not None:
            model = _Model(stage=self._add("base", base.name, "base", base.pretrain, name, {}))
        if candidate.data is not None:
            config = {**sft_config(plan, candidate), **self._kept_epochs(candidate)}
            sft = self._add("sft", candidate.sft_name, "sft", config, name, {_MODEL: model})
            part = "" if candidate.checkpoint_epoch is None else checkpoint_folder(candidate.checkpoint_epoch)
            model = _Model(stage=sft, within=part)
        wanted = _evaluation(plan, "before")
        had = self._add("evaluate-pre", name, "evaluate", wanted, name, {_CHECKPOINT: model})
        for samples in _more_samples(plan):
            models = {_CHECKPOINT: model, SAMPLES: _Model(stage=had)}
            had = self._add(
                "evaluate-pre", f"{name}@{samples}", "evaluate", {**wanted, "samples": samples}, name, models
            )
        for seed in candidate.rl_seeds:
            add = self._add_run if plan.race is None else self._add_raced_run
            add(candidate, seed, model)

    def _add_run(self, candidate: Candidate, seed: int, model: _Model) -> None:
        plan, name, run = self._plan, candidate.name, run_name(candidate, seed)
        assert plan.rl is not None
        config = {**plan.rl.recipe.config, "seed": seed}
        last = candidate.rl_further[-1] if candidate.rl_further else plan.rl.steps
        along = measured_along(plan, candidate)
        kept = sorted({*along, *([plan.rl.steps] if candidate.rl_further else [])} - {last})
        if candidate.rl_further:
            config["max_steps"] = last
        if kept:
            config["keep_steps"] = kept
        grpo = self._add("grpo", run, "rl", config, name, {_MODEL: model})
        for step in (plan.rl.steps, *along):
            part = "" if step == last else checkpoint_folder(step)
            self._add_measured(run, step, _Model(stage=grpo, within=part), name)

    def _add_raced_run(self, candidate: Candidate, seed: int, model: _Model) -> None:
        """Add a run in parts, each of which pauses at a rung and goes on from the one before."""
        plan, name, run = self._plan, candidate.name, run_name(candidate, seed)
        assert plan.rl is not None
        models = {_MODEL: model}
        for step in (*measured_along(plan, candidate), plan.rl.steps):
            last = step == plan.rl.steps
            config = {**plan.rl.recipe.config, "seed": seed} | ({} if last else {"pause_at": step})
            grpo = self._add("grpo", run if last else f"{run}@{step}", "rl", config, name, models)
            self._add_measured(run, step, _Model(stage=grpo), name)
            models = {_MODEL: model, RESUME: _Model(stage=grpo, within=PAUSED)}

    def _add_measured(self, run: str, step: int, model: _Model, owner: str) -> None:
        plan = self._plan
        assert plan.rl is not None
        if step == plan.rl.steps:
            self._add("evaluate-post", run, "evaluate", _evaluation(plan, "after"), owner, {_CHECKPOINT: model})
        else:
            along = _evaluation(plan, "along")
            self._add("evaluate-along", f"{run}@{step}", "evaluate", along, owner, {_CHECKPOINT: model})

    def _kept_epochs(self, candidate: Candidate) -> dict[str, Any]:
        """Return the key that makes an SFT run keep the checkpoints that are candidates of their own."""
        kept = self._epochs.get(candidate.sft_name)
        return {"keep_epochs": sorted(kept)} if kept else {}


def _more_samples(plan: Plan) -> tuple[int, ...]:
    """Return to how many samples a measurement before RL can be taken beyond the first."""
    return () if plan.evaluation.auto is None else plan.evaluation.auto.rounds[1:]


def measured_along(plan: Plan, candidate: Candidate) -> tuple[int, ...]:
    """Return the steps other than the recipe's last at which the runs of a candidate are, or can be, measured."""
    if plan.race is not None:
        return plan.race.rungs
    return () if plan.rl is None else (*plan.rl.measure_at, *candidate.rl_further)


def stages_of(plan: Plan) -> tuple[Stage, ...]:
    """Return all stages of a plan, each after its inputs, candidates in plan order.

    A base model that exists already gives no stage, and a base that no candidate uses is not made.
    """
    return tuple(_Stages(plan).by_id.values())


def rows_of(plan: Plan) -> tuple[Row, ...]:
    """Return the rows that the finished corpus can have, in plan order: one a run; one for a candidate without runs."""
    rl_id = rl_recipe_id(_as_it_comes_out(plan)) if plan.rl else None
    rows: list[Row] = []
    for candidate in plan.candidates:
        trained = candidate.data is not None
        config = sft_config(plan, candidate) if trained else None
        if config is not None and candidate.checkpoint_epoch is not None:
            config["checkpoint_epoch"] = candidate.checkpoint_epoch
        identity = recipe_id(plan.base(candidate.base).content(), config)
        sft = f"sft/{candidate.sft_name}" if trained else None
        pre = f"evaluate-pre/{candidate.name}"
        more = tuple(f"{pre}@{samples}" for samples in _more_samples(plan))
        for seed in candidate.rl_seeds:
            run = run_name(candidate, seed)
            steps = measured_along(plan, candidate)
            along = {step: f"evaluate-along/{run}@{step}" for step in steps}
            paused = {} if plan.race is None else {step: f"grpo/{run}@{step}" for step in steps}
            stages = (sft, pre, f"grpo/{run}", f"evaluate-post/{run}")
            rows.append(Row(candidate, seed, identity, rl_id, *stages, along, paused, more))
        if not candidate.rl_seeds:
            rows.append(Row(candidate, None, identity, None, sft, pre, None, None, more=more))
    return tuple(rows)


def _as_it_comes_out(plan: Plan) -> dict[str, Any]:
    """Return the RL recipe; with its pauses, if a run that paused ends otherwise than one that did not."""
    assert plan.rl is not None
    config = dict(plan.rl.recipe.config)
    if plan.race is not None and config.get("use_vllm"):  # its random state is not saved
        config["pause_at"] = list(plan.race.rungs)
    return config


class Past:
    """What the attempts so far say of each stage.

    Attributes
    ----------
    finished : dict
        Identity -> key of its last finished attempt: what its folder holds.
    last : dict
        Identity and key -> the last attempt.
    """

    def __init__(self, attempts: Iterable[Attempt] = ()) -> None:
        self.finished: dict[str, str] = {}
        self.last: dict[tuple[str, str], Attempt] = {}
        for attempt in attempts:
            self.learn(attempt)

    def learn(self, attempt: Attempt) -> None:
        """Take in an attempt, younger than those so far."""
        self.last[attempt.stage, attempt.key] = attempt
        if attempt.status == "done":
            self.finished[attempt.stage] = attempt.key

    def state(self, stage: Stage, states: Mapping[str, State], *, again: bool = False) -> State:
        """Return the state of a stage, given those of its inputs; `again` if it has to be made once more."""
        needed = {states[identity] for identity in stage.inputs.values()}
        if self.finished.get(stage.id) == stage.key and not again:
            return "done"
        if needed & {"failed", "blocked"}:
            return "blocked"
        if needed - {"done"}:
            return "waiting"
        last = self.last.get((stage.id, stage.key))
        return "failed" if last is not None and last.status == "failed" and not last.half_batch_next else "ready"


def states_of(
    stages: Sequence[Stage], attempts: Iterable[Attempt], without_weights: Collection[str] = ()
) -> dict[str, State]:
    """Return the state of every stage, given the attempts so far, oldest first.

    ``done``: its last finished attempt has its key. ``failed``: the last attempt at this key failed, and is not to be
    tried again with half the batch. ``blocked``: a
    stage that it needs failed or is blocked. ``waiting``: a stage that it needs is not done yet. ``ready``: it can be
    run. A changed recipe changes the keys of its stage and of all that follow from it, and of no other.

    Parameters
    ----------
    stages : sequence of Stage
        Each after its inputs.
    without_weights : collection of str
        What of stages that are done has lost its weights, as `Stage.needs` names it: they are run again if a stage
        among `stages` still has to be run that needs it, and are done otherwise.
    """
    past, states = Past(attempts), dict[str, State]()
    for stage in stages:
        states[stage.id] = past.state(stage, states)
    again: set[str] = set()  # what has to be made once more, each before what needs it
    for stage in reversed(stages) if without_weights else ():
        if states[stage.id] in OPEN or stage.id in again:
            again |= {stage.inputs[key] for key, needed in stage.needs.items() if needed in without_weights}
    for stage in stages if again else ():
        if stage.id in again or states[stage.id] in OPEN:
            states[stage.id] = past.state(stage, states, again=stage.id in again)
    return states


def _evaluation(plan: Plan, when: Literal["before", "along", "after"]) -> dict[str, Any]:
    wanted = plan.evaluation
    samples = {"before": wanted.samples_before, "along": wanted.samples_along, "after": wanted.samples_after}[when]
    config = {"suite": wanted.suite.path, "samples": samples, "engine": wanted.engine}
    optional = {
        "batch_size": wanted.batch_size,
        "workers": wanted.workers,
        "engine_settings": dict(wanted.engine_settings) or None,
        # Before RL is soon enough: after it, the same suite would be compared with the same texts.
        "overlap": (dict(wanted.overlap) or None) if when == "before" else None,
    }
    return config | {key: value for key, value in optional.items() if value is not None}
