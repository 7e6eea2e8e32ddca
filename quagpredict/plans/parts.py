"""What a plan is made of: bases, recipes, how candidates are measured and launched, and the candidates."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from quagpredict.plans.recipe import Recipe

Scenario = Literal["dataset-level", "instance-level", "random", "no-sft"]
# Keys of a training config that the plan sets for each candidate; a data entry must not set them behind its back.
SET_BY_PLAN = ("model_name_or_path", "num_train_epochs", "learning_rate", "seed", "unique_examples", "output_dir")
PROGRAMS = {
    "base": "training/pretrain_lab_base.py",
    "sft": "training/train_sft.py",
    "rl": "training/train_grpo.py",
    "evaluate": "collectors/evaluate_checkpoint.py",
}

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
        found = [self.first]
        while found[-1] < self.most:
            found.append(min(2 * found[-1], self.most))
        return tuple(found)


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
