"""The plan of a collection: bases, data, recipes and the candidates that they span, read from one YAML file."""

import random
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from quagpredict.errors import RecipeError, UsageError
from quagpredict.files import digest
from quagpredict.lab import Mixture
from quagpredict.plans.parts import (
    LAUNCHERS,
    PRETRAIN,
    PROGRAMS,
    SET_BY_PLAN,
    Assumptions,
    Base,
    Candidate,
    Evaluation,
    Launch,
    RaceRules,
    ReinforcementLearning,
    evaluation_of,
    race_of,
)
from quagpredict.plans.recipe import Recipe
from quagpredict.plans.section import NAME, Section
from quagpredict.shipped import shipped_or_given, shipped_path

_MOST_CANDIDATES = 100_000  # of one entry


@dataclass(frozen=True)
class Plan:
    """A collection: everything that decides which stages there are and what each one is given.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     suite = Path(folder) / "suite.yaml"
    ...     _ = suite.write_text("name: tiny")
    ...     file = Path(folder) / "plan.yaml"
    ...     _ = file.write_text(f'''
    ... name: tiny
    ... bases: {{weak: {{family: qwen3, pretrain: {{steps: 5}}}}}}
    ... evaluation: {{suite: {suite}, samples_before: 8}}
    ... candidates: [{{base: [weak], no_sft: true}}]
    ... ''')
    ...     [candidate.name for candidate in Plan.from_yaml(file).candidates]
    ['weak.no-sft']
    """

    name: str
    bases: tuple[Base, ...]
    data: Mapping[str, Mapping[str, Any]]
    sft: Recipe | None
    rl: ReinforcementLearning | None
    evaluation: Evaluation
    candidates: tuple[Candidate, ...]
    launch: Launch
    programs: Mapping[str, str]
    assumptions: Assumptions | None = None
    race: RaceRules | None = None

    @classmethod
    def from_yaml(cls, path: str | Path) -> "Plan":
        """Read and check a plan, the user's or a shipped one, and the recipes and the suite that it names.

        Raises
        ------
        RecipeError
            At the first thing that is wrong; the message names the file and the key.
        """
        path = shipped_or_given(path)
        top = Section(Recipe.read(path).config, str(path))
        top.only(
            *("name", "bases", "data", "sft", "rl", "evaluation", "candidates", "held_out", "launch", "programs"),
            *("order_seed", "estimate", "race"),
        )
        programs = _programs(top.section("programs", {}))
        ours = {key for key, program in programs.items() if program == PROGRAMS[key]}  # whose keys are known
        bases = tuple(_base(name, top.section("bases").section(name), ours) for name in top.section("bases").names())
        data = {name: _data(top.section("data").section(name), ours) for name in top.section("data", {}).names()}
        sft = _sft(top.section("sft")) if "sft" in top.content else None
        rl = _rl(top.section("rl")) if "rl" in top.content else None
        evaluation = evaluation_of(top.section("evaluation"))
        launch = launch_of(top.section("launch", {}))
        candidates = _candidates(top, {base.name for base in bases}, set(data), sft, rl)
        name = top.text("name")
        if not NAME.fullmatch(name):
            raise top.error("name", f"expected letters, digits and _ . + -, got {name!r}")
        assumed = _assumptions(top.section("estimate"), bases) if "estimate" in top.content else None
        race = race_of(top.section("race"), rl, candidates) if "race" in top.content else None
        return cls(name, bases, data, sft, rl, evaluation, candidates, launch, programs, assumed, race)

    def base(self, name: str) -> Base:
        """Return the base model called `name`."""
        return next(base for base in self.bases if base.name == name)

    @property
    def offline(self) -> bool:
        """Whether nothing comes from a hub: every base is made here, and no recipe, data entry or suite names a set."""
        suite = self.evaluation.suite.config
        sources = [*suite.get("benchmarks", []), suite.get("held_out"), *self.evaluation.overlap.get("against", [])]
        if any(isinstance(source, Mapping) and "hub" in source for source in sources):
            return False
        recipes = [recipe.config for recipe in (self.sft, self.rl and self.rl.recipe) if recipe]
        return all(base.pretrain is not None for base in self.bases) and not any(
            config.get("dataset_name") for config in [*recipes, *self.data.values()]
        )

    @property
    def plan_id(self) -> str:
        """Digest of all that decides what is made, recipes and suite included; not of its cost, nor of limits."""
        content = {key: value for key, value in asdict(self).items() if key != "assumptions"}
        if self.race is None:
            del content["race"]
        else:  # under the name that it had first, so that plans keep their ids
            content["race"]["budget"] = content["race"].pop("rl_steps")
        if self.evaluation.auto is None:  # as in plans that were written before there was one
            del content["evaluation"]["auto"]
        for key in ("time_limits", "resources", "options"):
            del content["launch"][key]
        return digest(content)


def _base(name: str, section: Section, ours: Collection[str]) -> Base:
    section.only("family", "pretrain", "model_name_or_path")
    family = section.text("family")
    if ("pretrain" in section.content) == ("model_name_or_path" in section.content):
        raise section.error("pretrain", "a base needs either 'pretrain' (made here) or 'model_name_or_path' (exists)")
    if "pretrain" in section.content:
        pretrain = section.section("pretrain")
        if "output_dir" in pretrain.content:
            raise section.error("pretrain.output_dir", "collection decides where a base model is put")
        if "base" in ours:
            pretrain.only(*PRETRAIN)
            _check_lab_data(pretrain)
        return Base(name, family, pretrain=dict(pretrain.content))
    return Base(name, family, model_name_or_path=section.text("model_name_or_path"))


def _data(section: Section, ours: Collection[str]) -> dict[str, Any]:
    for key in SET_BY_PLAN:
        if key in section.content:
            raise section.error(key, "a data entry cannot set this key: the candidates do")
    if "sft" in ours:
        _check_lab_data(section)
    return dict(section.content)


def _check_lab_data(section: Section) -> None:
    if "lab_data" in section.content:
        try:
            Mixture.from_mapping(section.section("lab_data").content)
        except RecipeError as error:
            raise section.error("lab_data", str(error).removeprefix("lab data: ")) from None


def _sft(section: Section) -> Recipe:
    section.only("recipe")
    recipe = section.recipe("recipe")
    if recipe.config.get("max_steps", -1) != -1:
        raise section.error("recipe", f"{recipe.path} sets max_steps, which would make every candidate's epochs void")
    return recipe


def _rl(section: Section) -> ReinforcementLearning:
    section.only("recipe", "seeds", "measure_at")
    seeds = section.listed("seeds", int, low=0) if "seeds" in section.content else [0]
    along = sorted(section.listed("measure_at", int, low=1, empty=True)) if "measure_at" in section.content else []
    rl = ReinforcementLearning(section.recipe("recipe"), tuple(seeds), tuple(along))
    if along and along[-1] >= rl.steps:
        raise section.error("measure_at", f"expected steps below max_steps of the recipe ({rl.steps}), got {along[-1]}")
    return rl


def launch_of(section: Section) -> Launch:
    """Read the section ``launch`` of a plan or a search."""
    section.only("mode", "threads", "accelerate", "time_limits", "resources", "options")
    mode = section.choice("mode", tuple(LAUNCHERS), "spawn")
    accelerate = section.section("accelerate", {})
    accelerate.only("sft", "rl")
    if accelerate.content and mode == "fork":
        raise section.error("accelerate", "needs mode: spawn; a forked stage is one process")
    threads = section.whole("threads", 1) if "threads" in section.content else None
    limits = section.section("time_limits", {})
    limits.only(*PROGRAMS)
    seconds = {key: _above_0(limits, key, "seconds") for key in limits.content}
    resources = section.section("resources", {})
    resources.only(*PROGRAMS)
    options = section.section("options", {})
    options.only(*LAUNCHERS)
    return Launch(
        mode,
        threads,
        {key: _existing(accelerate, key) for key in accelerate.content},
        seconds,
        {key: _resources(resources.section(key)) for key in resources.content},
        {key: dict(options.section(key).content) for key in options.content},
    )


def _resources(section: Section) -> dict[str, float]:
    section.only("threads", "gpus", "memory_gib")
    asked: dict[str, float] = {}
    for key in section.content:
        if key == "memory_gib":
            asked[key] = _above_0(section, key, "GiB")
        elif key == "gpus":
            asked[key] = _gpus(section)
        else:
            asked[key] = section.whole(key, 1)
    return asked


def _gpus(section: Section) -> float:
    value = section.content["gpus"]
    number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")
    if not number or (value > 1 and value != int(value)):
        raise section.error("gpus", f"expected a whole number, or a part of one GPU such as 0.5, got {value!r}")
    return float(value)


def _above_0(section: Section, key: str, unit: str) -> float:
    value = section.content[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise section.error(key, f"expected a number of {unit} above 0, got {value!r}")
    return float(value)


def _programs(section: Section) -> dict[str, str]:
    section.only(*PROGRAMS)
    return {**PROGRAMS, **{key: _existing(section, key) for key in section.content}}


def _assumptions(section: Section, bases: tuple[Base, ...]) -> Assumptions:
    numbers = ("gpu_tflops", "utilization", "tokens_per_second", "tokens_per_example", "tokens_per_response")
    section.only("gpus", "problems", "parameters", *numbers)
    values = {name: section.listed(name, float, low=0)[0] for name in numbers}
    if values["utilization"] > 1:
        raise section.error("utilization", f"expected a share of at most 1, got {values['utilization']:g}")
    sizes = section.section("parameters")
    sizes.only(*(base.name for base in bases))
    parameters = {base.name: sizes.listed(base.name, float, low=0)[0] for base in bases}
    return Assumptions(
        gpus=section.whole("gpus", 1), problems=section.whole("problems", 1), parameters=parameters, **values
    )


def _existing(section: Section, key: str) -> str:
    try:
        shipped_path(section.text(key))
    except UsageError as error:
        raise section.error(key, str(error)) from None
    return section.text(key)


def _candidates(
    top: Section, bases: set[str], data: set[str], sft: Recipe | None, rl: ReinforcementLearning | None
) -> tuple[Candidate, ...]:
    entries = top.content.get("candidates")
    if not isinstance(entries, list) or not entries:
        raise top.error("candidates", f"expected a list with at least one entry, got {entries!r}")
    candidates: list[Candidate] = []
    for position, content in enumerate(entries):
        if not isinstance(content, Mapping):
            raise top.error(f"candidates[{position}]", f"expected a mapping of keys to lists, got {content!r}")
        entry = Section(content, top.source, f"candidates[{position}].")
        candidates += _entry(entry, bases, data, sft, rl)
    for name, count in Counter(candidate.name for candidate in candidates).items():
        if count > 1:
            raise top.error("candidates", f"'{name}' appears {count} times; no two candidates may have the same name")
    if "order_seed" in top.content:
        # In a random order an unfinished collection is a random sample of the plan.
        random.Random(top.whole("order_seed", 0)).shuffle(candidates)
    return _with_splits(top, candidates)


def _entry(
    entry: Section, bases: set[str], data: set[str], sft: Recipe | None, rl: ReinforcementLearning | None
) -> list[Candidate]:
    no_sft = entry.content.get("no_sft", False)
    if not isinstance(no_sft, bool):
        raise entry.error("no_sft", f"expected true or false, got {no_sft!r}")
    shared = ("base", "no_sft", "rl_seeds", "rl_further")
    if no_sft:
        entry.only(*shared)
    else:
        entry.only(
            *shared, "data", "unique_examples", "epochs", "learning_rate", "seed", "scenario", "checkpoint_epochs"
        )
        if sft is None:
            raise entry.error("data", "the plan has no 'sft' recipe to train this candidate with")
    seeds = rl.seeds if rl else ()
    if "rl_seeds" in entry.content:
        seeds = tuple(entry.listed("rl_seeds", int, low=0, empty=True))
        if seeds and rl is None:
            raise entry.error("rl_seeds", "the plan has no 'rl' recipe")
    further = _further(entry, rl)
    chosen_bases = _named(entry, "base", bases, "bases")
    if no_sft:
        return [Candidate(f"{base}.no-sft", base, "no-sft", "fit", seeds, rl_further=further) for base in chosen_bases]
    scenario = entry.choice("scenario", ("dataset-level", "instance-level", "random"))
    lists = (
        chosen_bases,
        _named(entry, "data", data, "data"),
        entry.listed("unique_examples", int, low=1),
        entry.listed("epochs", float, low=0),
        entry.listed("learning_rate", float, low=0),
        entry.listed("seed", int, low=0),
    )
    if (count := prod(map(len, lists))) > _MOST_CANDIDATES:
        raise entry.error("data", f"the lists multiply to {count:,} candidates, at most {_MOST_CANDIDATES:,} are taken")
    grid: Iterator[tuple[Any, ...]] = product(*lists)
    candidates = [
        Candidate(f"{b}.{d}-{n}x{e:g}-lr{lr:g}-s{s}", b, scenario, "fit", seeds, d, n, e, lr, s, rl_further=further)
        for b, d, n, e, lr, s in grid
    ]
    return [*candidates, *(part for whole in candidates for part in _checkpoints(entry, whole))]


def _further(entry: Section, rl: ReinforcementLearning | None) -> tuple[int, ...]:
    """Return the steps beyond the recipe's; a run taken further passes the recipe's end as if it ended there."""
    if "rl_further" not in entry.content:
        return ()
    further = tuple(sorted(entry.listed("rl_further", int, low=1)))
    if rl is None or further[0] <= rl.steps or rl.steps < 1:
        raise entry.error("rl_further", f"expected steps above max_steps of the RL recipe, got {further[0]}")
    schedule = rl.recipe.config.get("lr_scheduler_type")
    if schedule not in ("constant", "constant_with_warmup"):
        raise entry.error(
            "rl_further", f"needs an RL recipe whose learning rate stays constant; lr_scheduler_type is {schedule!r}"
        )
    return further


def _checkpoints(entry: Section, whole: Candidate) -> list[Candidate]:
    """Return the candidates that are checkpoints from the middle of an SFT run."""
    if "checkpoint_epochs" not in entry.content:
        return []
    epochs = entry.listed("checkpoint_epochs", float, low=0)
    assert whole.epochs is not None
    if max(epochs) >= whole.epochs:
        raise entry.error("checkpoint_epochs", f"expected epochs below {whole.epochs:g}, got {max(epochs):g}")
    return [replace(whole, name=f"{whole.name}@e{epoch:g}", checkpoint_epoch=epoch) for epoch in epochs]


def _named(entry: Section, key: str, allowed: set[str], section: str) -> list[str]:
    names: list[str] = entry.listed(key, str)
    for position, name in enumerate(names):
        if name not in allowed:
            raise entry.error(
                f"{key}[{position}]", f"'{name}' is not among {section}: {', '.join(sorted(allowed)) or 'none'}"
            )
    return names


def _with_splits(top: Section, candidates: list[Candidate]) -> tuple[Candidate, ...]:
    patterns = top.listed("held_out", str, empty=True) if "held_out" in top.content else []
    for position, pattern in enumerate(patterns):
        if not any(fnmatchcase(candidate.name, pattern) for candidate in candidates):
            raise top.error(
                f"held_out[{position}]", f"'{pattern}' matches no candidate, e.g. not '{candidates[0].name}'"
            )
    return tuple(
        replace(candidate, split="held_out")
        if any(fnmatchcase(candidate.name, pattern) for pattern in patterns)
        else candidate
        for candidate in candidates
    )
