"""What a plan is made of: bases, recipes, how candidates are measured, raced and launched, and the candidates."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from quagpredict.errors import RecipeError, UsageError
from quagpredict.plans.recipe import Recipe
from quagpredict.plans.section import Section
from quagpredict.shipped import shipped_path

Scenario = Literal["dataset-level", "instance-level", "random", "no-sft"]
# Keys of a training config that the plan sets for each candidate; a data entry must not set them behind its back.
SET_BY_PLAN = ("model_name_or_path", "num_train_epochs", "learning_rate", "seed", "unique_examples", "output_dir")
PROGRAMS = {
    "base": "training/pretrain_lab_base.py",
    "sft": "training/train_sft.py",
    "rl": "training/train_grpo.py",
    "evaluate": "collectors/evaluate_checkpoint.py",
}
# Keys of the shipped program for `base`; where its output goes, collection decides.
PRETRAIN = (
    *("lab_data", "seed", "steps", "architecture", "hidden_size", "num_hidden_layers", "num_attention_heads"),
    *("intermediate_size", "learning_rate", "weight_decay", "warmup_steps", "documents_per_step"),
)

# Mode of a plan's `launch` -> what makes the launcher, `module:name`; see `quagpredict.collection.launch`.
LAUNCHERS = {
    "fork": "quagpredict.collection.local:forked",
    "spawn": "quagpredict.collection.local:spawned",
    "slurm": "quagpredict.collection.slurm:SlurmLauncher",
    "ray": "quagpredict.collection.ray_launcher:RayLauncher",
}


@dataclass(frozen=True)
class Base:
    """A base model: made by the pre-training program from a config, or one that exists already."""

    name: str
    family: str
    pretrain: Mapping[str, Any] | None = None
    model_name_or_path: str | None = None

    def content(self) -> dict[str, Any]:
        """Return what the base model is, for `quagpredict.plans.recipe.recipe_id`: not what the plan calls it."""
        if self.pretrain is not None:
            return {"pretrain": dict(self.pretrain)}
        return {"model_name_or_path": self.model_name_or_path}


@dataclass(frozen=True)
class ReinforcementLearning:
    """The RL recipe and the seeds that every candidate is taken through, unless its entry says otherwise.

    `measure_at` are the steps on the way at which a run is measured too.
    """

    recipe: Recipe
    seeds: tuple[int, ...] = (0,)
    measure_at: tuple[int, ...] = ()

    @property
    def steps(self) -> int:
        """The steps after which a run's score counts: the recipe's ``max_steps``, or -1 if it goes by epochs."""
        return int(self.recipe.config.get("max_steps", -1))


@dataclass(frozen=True)
class AutoSamples:
    """How many samples before RL, where the plan leaves that to the results.

    Every candidate gets `first` samples a problem. Where that leaves open who is among the best `top` of a base by
    Pass@`first`, those whose place is open get twice as many, until it is settled or they have `most`. Differences that
    are known to the `tolerance` are not worth more.
    """

    first: int = 16
    most: int = 256
    top: int = 3
    tolerance: float = 0.01

    @property
    def rounds(self) -> tuple[int, ...]:
        """Samples a problem after each round.

        Examples
        --------
        >>> AutoSamples(most=100).rounds
        (16, 32, 64, 100)
        """
        sizes = [self.first]
        while sizes[-1] < self.most:
            sizes.append(min(2 * sizes[-1], self.most))
        return tuple(sizes)


@dataclass(frozen=True)
class Evaluation:
    """How candidates are measured before RL, runs after it, and runs on the way.

    With `auto` results decide how many samples there are before RL; `samples_before` are the first.
    """

    suite: Recipe
    samples_before: int
    samples_after: int
    samples_along: int
    engine: str = "transformers"
    batch_size: int | None = None
    workers: int | None = None
    engine_settings: Mapping[str, Any] = field(default_factory=dict)
    overlap: Mapping[str, Any] = field(default_factory=dict)
    auto: AutoSamples | None = None


@dataclass(frozen=True)
class Launch:
    """How stages are started: by which of `LAUNCHERS`, with how many threads, and which trainings by accelerate.

    A stage that runs longer than the seconds that its program has in ``time_limits`` is ended, and has failed.
    ``resources`` is what the stages of a program ask for: ``threads``, ``gpus``, ``memory_gib``. ``options`` are the
    launcher's own, by its name. No result depends on either.
    """

    mode: str = "spawn"
    threads: int | None = None
    accelerate: Mapping[str, str] = field(default_factory=dict)
    time_limits: Mapping[str, float] = field(default_factory=dict)
    resources: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Assumptions:
    """What an estimate of the cost assumes where nothing was measured.

    Attributes
    ----------
    gpus : int
        GPUs that every stage holds.
    gpu_tflops : float
        Peak of one GPU in the data type of training, 1e12 operations a second.
    utilization : float
        Share of it that training delivers, above 0 and up to 1.
    tokens_per_second : float
        Tokens that one GPU generates in a second, all sequences together.
    tokens_per_example, tokens_per_response : float
        Mean lengths.
    problems : int
        Problems of the suite.
    parameters : mapping
        Base -> number of parameters.
    """

    gpus: int
    gpu_tflops: float
    utilization: float
    tokens_per_second: float
    tokens_per_example: float
    tokens_per_response: float
    problems: int
    parameters: Mapping[str, float]


@dataclass(frozen=True)
class Candidate:
    """One candidate: a base and an SFT setting (or none), the RL seeds it is run with, and its split.

    `checkpoint_epoch` is set for a checkpoint from the middle of an SFT run of `epochs`. `rl_further` are steps beyond
    the RL recipe's to which its runs are taken and at which they are measured.
    """

    name: str
    base: str
    scenario: Scenario
    split: Literal["fit", "held_out"]
    rl_seeds: tuple[int, ...]
    data: str | None = None
    unique_examples: int | None = None
    epochs: float | None = None
    learning_rate: float | None = None
    seed: int | None = None
    checkpoint_epoch: float | None = None
    rl_further: tuple[int, ...] = ()

    @property
    def sft_name(self) -> str:
        """Name of the SFT run that it comes from: its own, or for a checkpoint that of the whole run."""
        return self.name.partition("@")[0]


def evaluation_of(section: Section) -> Evaluation:
    """Read the section ``evaluation`` of a plan.

    Raises
    ------
    RecipeError
        If it is wrong; the message names the key.
    """
    engine_keys = ("engine", "batch_size", "workers", "engine_settings")
    section.only("suite", "samples_before", "samples_after", "samples_along", "overlap", *engine_keys)
    overlap = section.section("overlap", {})
    overlap.only("against", "ngram", "max_share")
    if overlap.content and not isinstance(overlap.content.get("against"), list):
        raise overlap.error("against", "expected a list of sources, each with path, hub or lab")
    auto = _auto_samples(section)
    if auto is not None and "samples_after" not in section.content:
        raise section.error("samples_after", "this key is missing; samples_before does not say how many they are")
    before = section.whole("samples_before", 1) if auto is None else auto.first
    after = section.whole("samples_after", 1, before)
    return Evaluation(
        suite=section.recipe("suite"),
        samples_before=before,
        samples_after=after,
        samples_along=section.whole("samples_along", 1, after),
        engine=section.text("engine", "transformers"),
        batch_size=section.whole("batch_size", 1) if "batch_size" in section.content else None,
        workers=section.whole("workers", 1) if "workers" in section.content else None,
        engine_settings=dict(section.section("engine_settings", {}).content),
        overlap=dict(overlap.content),
        auto=auto,
    )


def _auto_samples(section: Section) -> AutoSamples | None:
    """Return the rule that decides how many samples there are before RL; None where the plan gives a number."""
    value = section.content.get("samples_before")
    if value == "auto":
        return AutoSamples()
    if not isinstance(value, Mapping):
        return None
    rule, default = section.section("samples_before"), AutoSamples()
    rule.only("first", "most", "top", "tolerance")
    first = rule.whole("first", 1, default.first)
    return AutoSamples(
        first=first,
        most=rule.whole("most", first, max(default.most, first)),
        top=rule.whole("top", 1, default.top),
        tolerance=rule.number("tolerance", 0, 1, default.tolerance),
    )


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
    if not any(candidate.rl_seeds for candidate in candidates):
        raise RecipeError(
            f"{section.source}: candidates: a race needs RL runs, and every entry has 'rl_seeds: []', which means no "
            "RL: expected one RL seed of each candidate that is raced; without 'rl_seeds' that is 'rl.seeds'"
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
