"""The plan of a collection: bases, data, recipes and the candidates that they span, read from one YAML file."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from typing import Any, Literal

from quagpredict.errors import RecipeError, UsageError
from quagpredict.files import digest
from quagpredict.recipe import Recipe, known_keys_only
from quagpredict.shipped import shipped_path

Scenario = Literal["dataset-level", "instance-level", "no-sft"]
# Keys of a training config that the plan sets for each candidate; a data entry must not set them behind its back.
SET_BY_PLAN = ("model_name_or_path", "num_train_epochs", "learning_rate", "seed", "unique_examples", "output_dir")
PROGRAMS = {
    "base": "training/pretrain_lab_base.py",
    "sft": "training/train_sft.py",
    "rl": "training/train_grpo.py",
    "evaluate": "collectors/evaluate_checkpoint.py",
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


@dataclass(frozen=True)
class Base:
    """A base model: made by the pre-training program from a config, or one that exists already."""

    name: str
    family: str
    pretrain: Mapping[str, Any] | None = None
    model_name_or_path: str | None = None

    def content(self) -> dict[str, Any]:
        """Return what the base model is, for `quagpredict.recipe.recipe_id`: not what the plan calls it."""
        if self.pretrain is not None:
            return {"pretrain": dict(self.pretrain)}
        return {"model_name_or_path": self.model_name_or_path}


@dataclass(frozen=True)
class ReinforcementLearning:
    """The RL recipe and the seeds that every candidate is taken through, unless its entry says otherwise."""

    recipe: Recipe
    seeds: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Evaluation:
    """How candidates are measured before RL and runs after it."""

    suite: Recipe
    samples_before: int
    samples_after: int
    engine: str = "transformers"
    batch_size: int | None = None
    workers: int | None = None
    engine_settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Launch:
    """How stages are started: ``fork`` from a pre-loaded server, or ``spawn`` as processes of their own."""

    mode: Literal["fork", "spawn"] = "spawn"
    threads: int | None = None
    accelerate: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Candidate:
    """One candidate: a base and an SFT setting (or none), the RL seeds it is run with, and its split."""

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

    @classmethod
    def from_yaml(cls, path: str | Path) -> "Plan":
        """Read and check a plan, and the recipes and the suite that it names.

        Raises
        ------
        RecipeError
            At the first thing that is wrong; the message names the file and the key.
        """
        top = _Section(Recipe.read(path).config, str(path))
        top.only("name", "bases", "data", "sft", "rl", "evaluation", "candidates", "held_out", "launch", "programs")
        bases = tuple(_base(name, top.section("bases").section(name)) for name in top.section("bases").names())
        data = {name: _data(top.section("data").section(name)) for name in top.section("data", {}).names()}
        sft = _sft(top.section("sft")) if "sft" in top.content else None
        rl = _rl(top.section("rl")) if "rl" in top.content else None
        evaluation = _evaluation(top.section("evaluation"))
        launch = _launch(top.section("launch", {}))
        programs = _programs(top.section("programs", {}))
        candidates = _candidates(top, {base.name for base in bases}, set(data), sft, rl)
        name = top.text("name")
        if not _NAME.fullmatch(name):
            raise top.error("name", f"expected letters, digits and _ . + -, got {name!r}")
        return cls(name, bases, data, sft, rl, evaluation, candidates, launch, programs)

    def base(self, name: str) -> Base:
        """Return the base model called `name`."""
        return next(base for base in self.bases if base.name == name)

    @property
    def offline(self) -> bool:
        """Whether nothing comes from a hub: every base is made here and no recipe or data entry names a data set."""
        recipes = [recipe.config for recipe in (self.sft, self.rl and self.rl.recipe) if recipe]
        return all(base.pretrain is not None for base in self.bases) and not any(
            config.get("dataset_name") for config in [*recipes, *self.data.values()]
        )

    @property
    def plan_id(self) -> str:
        """Digest of all that the plan says, recipes and suite included."""
        return digest(asdict(self))


class _Section:
    """A mapping of the plan with the file and key path it stands at, so that every error can name both."""

    def __init__(self, content: Mapping[str, Any], source: str, where: str = "") -> None:
        self.content = content
        self.source = source
        self.where = where

    def error(self, key: str, problem: str) -> RecipeError:
        return RecipeError(f"{self.source}: {self.where}{key}: {problem}")

    def only(self, *known: str) -> None:
        known_keys_only(self.content, known, self.source, self.where)

    def names(self) -> list[str]:
        for name in self.content:
            if not isinstance(name, str) or not _NAME.fullmatch(name) or ".attempt-" in name:
                raise self.error(
                    str(name), "a name has letters, digits and _ . + - only, and starts with one of the first two"
                )
        return list(self.content)

    def section(self, key: str, default: Mapping[str, Any] | None = None) -> "_Section":
        content = self._value(key, default)
        if not isinstance(content, Mapping):
            raise self.error(key, f"expected a mapping of keys to values, got {content!r}")
        return _Section(content, self.source, f"{self.where}{key}.")

    def text(self, key: str, default: str | None = None) -> str:
        value = self._value(key, default)
        if not isinstance(value, str) or not value:
            raise self.error(key, f"expected text, got {value!r}")
        return value

    def whole(self, key: str, low: int, default: int | None = None) -> int:
        value = self._value(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < low:
            raise self.error(key, f"expected a whole number of at least {low}, got {value!r}")
        return value

    def choice(self, key: str, choices: tuple[str, ...], default: str | None = None) -> Any:
        value = self._value(key, default)
        if value not in choices:
            raise self.error(key, f"expected one of {', '.join(choices)}, got {value!r}")
        return value

    def listed(self, key: str, kind: type, *, low: float | None = None, empty: bool = False) -> list[Any]:
        """Return a list of values of one kind; a single value stands for a list of one."""
        value = self._value(key, None)
        values = value if isinstance(value, list) else [value]
        if not values and not empty:
            raise self.error(key, "expected at least one value, got an empty list")
        expected = {str: "text", int: "a whole number", float: "a number"}[kind]
        expected += "" if low is None else f" of at least {low}" if kind is int else f" above {low}"
        for position, entry in enumerate(values):
            right = isinstance(entry, int | float if kind is float else kind) and not isinstance(entry, bool)
            if not right or (low is not None and (entry < low or (kind is float and entry == low))):
                raise self.error(f"{key}[{position}]", f"expected {expected}, got {entry!r}")
        if len(set(values)) != len(values):
            raise self.error(key, f"the same value is there twice: {values}")
        return [kind(entry) for entry in values]

    def recipe(self, key: str) -> Recipe:
        path = self.text(key)
        try:
            return Recipe.read(path, shipped_path(path))
        except (UsageError, RecipeError) as error:
            raise self.error(key, str(error)) from None

    def _value(self, key: str, default: Any) -> Any:
        if key in self.content:
            return self.content[key]
        if default is None:
            raise self.error(key, "this key is missing")
        return default


def _base(name: str, section: _Section) -> Base:
    section.only("family", "pretrain", "model_name_or_path")
    family = section.text("family")
    if ("pretrain" in section.content) == ("model_name_or_path" in section.content):
        raise section.error("pretrain", "a base needs either 'pretrain' (made here) or 'model_name_or_path' (exists)")
    if "pretrain" in section.content:
        pretrain = section.section("pretrain")
        if "output_dir" in pretrain.content:
            raise section.error("pretrain.output_dir", "collection decides where a base model is put")
        return Base(name, family, pretrain=dict(pretrain.content))
    return Base(name, family, model_name_or_path=section.text("model_name_or_path"))


def _data(section: _Section) -> dict[str, Any]:
    for key in SET_BY_PLAN:
        if key in section.content:
            raise section.error(key, "a data entry cannot set this key: the candidates do")
    return dict(section.content)


def _sft(section: _Section) -> Recipe:
    section.only("recipe")
    recipe = section.recipe("recipe")
    if recipe.config.get("max_steps", -1) != -1:
        raise section.error("recipe", f"{recipe.path} sets max_steps, which would make every candidate's epochs void")
    return recipe


def _rl(section: _Section) -> ReinforcementLearning:
    section.only("recipe", "seeds")
    seeds = section.listed("seeds", int, low=0) if "seeds" in section.content else [0]
    return ReinforcementLearning(section.recipe("recipe"), tuple(seeds))


def _evaluation(section: _Section) -> Evaluation:
    section.only("suite", "samples_before", "samples_after", "engine", "batch_size", "workers", "engine_settings")
    before = section.whole("samples_before", 1)
    return Evaluation(
        suite=section.recipe("suite"),
        samples_before=before,
        samples_after=section.whole("samples_after", 1, before),
        engine=section.text("engine", "transformers"),
        batch_size=section.whole("batch_size", 1) if "batch_size" in section.content else None,
        workers=section.whole("workers", 1) if "workers" in section.content else None,
        engine_settings=dict(section.section("engine_settings", {}).content),
    )


def _launch(section: _Section) -> Launch:
    section.only("mode", "threads", "accelerate")
    mode = section.choice("mode", ("fork", "spawn"), "spawn")
    accelerate = section.section("accelerate", {})
    accelerate.only("sft", "rl")
    if accelerate.content and mode == "fork":
        raise section.error("accelerate", "needs mode: spawn; a forked stage is one process")
    threads = section.whole("threads", 1) if "threads" in section.content else None
    return Launch(mode, threads, {key: _existing(accelerate, key) for key in accelerate.content})


def _programs(section: _Section) -> dict[str, str]:
    section.only(*PROGRAMS)
    return {**PROGRAMS, **{key: _existing(section, key) for key in section.content}}


def _existing(section: _Section, key: str) -> str:
    try:
        shipped_path(section.text(key))
    except UsageError as error:
        raise section.error(key, str(error)) from None
    return section.text(key)


def _candidates(
    top: _Section, bases: set[str], data: set[str], sft: Recipe | None, rl: ReinforcementLearning | None
) -> tuple[Candidate, ...]:
    entries = top.content.get("candidates")
    if not isinstance(entries, list) or not entries:
        raise top.error("candidates", f"expected a list with at least one entry, got {entries!r}")
    found: list[Candidate] = []
    for position, content in enumerate(entries):
        if not isinstance(content, Mapping):
            raise top.error(f"candidates[{position}]", f"expected a mapping of keys to lists, got {content!r}")
        entry = _Section(content, top.source, f"candidates[{position}].")
        found += _entry(entry, bases, data, sft, rl)
    for name, count in Counter(candidate.name for candidate in found).items():
        if count > 1:
            raise top.error("candidates", f"'{name}' is there {count} times; no two candidates may have the same name")
    return _with_splits(top, found)


def _entry(
    entry: _Section, bases: set[str], data: set[str], sft: Recipe | None, rl: ReinforcementLearning | None
) -> list[Candidate]:
    no_sft = entry.content.get("no_sft", False)
    if not isinstance(no_sft, bool):
        raise entry.error("no_sft", f"expected true or false, got {no_sft!r}")
    if no_sft:
        entry.only("base", "no_sft", "rl_seeds")
    else:
        entry.only(
            *("base", "data", "unique_examples", "epochs", "learning_rate", "seed", "scenario", "no_sft", "rl_seeds")
        )
        if sft is None:
            raise entry.error("data", "the plan has no 'sft' recipe to train this candidate with")
    seeds = rl.seeds if rl else ()
    if "rl_seeds" in entry.content:
        seeds = tuple(entry.listed("rl_seeds", int, low=0, empty=True))
        if seeds and rl is None:
            raise entry.error("rl_seeds", "the plan has no 'rl' recipe")
    chosen_bases = _named(entry, "base", bases, "bases")
    if no_sft:
        return [Candidate(f"{base}.no-sft", base, "no-sft", "fit", seeds) for base in chosen_bases]
    scenario = entry.choice("scenario", ("dataset-level", "instance-level"))
    grid = product(
        chosen_bases,
        _named(entry, "data", data, "data"),
        entry.listed("unique_examples", int, low=1),
        entry.listed("epochs", float, low=0),
        entry.listed("learning_rate", float, low=0),
        entry.listed("seed", int, low=0),
    )
    return [
        Candidate(f"{b}.{d}-{n}x{e:g}-lr{lr:g}-s{s}", b, scenario, "fit", seeds, d, n, e, lr, s)
        for b, d, n, e, lr, s in grid
    ]


def _named(entry: _Section, key: str, known: set[str], section: str) -> list[str]:
    names: list[str] = entry.listed(key, str)
    for position, name in enumerate(names):
        if name not in known:
            raise entry.error(
                f"{key}[{position}]", f"'{name}' is not among {section}: {', '.join(sorted(known)) or 'none'}"
            )
    return names


def _with_splits(top: _Section, candidates: list[Candidate]) -> tuple[Candidate, ...]:
    patterns = top.listed("held_out", str, empty=True) if "held_out" in top.content else []
    for position, pattern in enumerate(patterns):
        if not any(fnmatchcase(candidate.name, pattern) for candidate in candidates):
            raise top.error(
                f"held_out[{position}]", f"'{pattern}' matches no candidate, e.g. not '{candidates[0].name}'"
            )
    return tuple(
        Candidate(**{**asdict(candidate), "split": "held_out"})
        if any(fnmatchcase(candidate.name, pattern) for pattern in patterns)
        else candidate
        for candidate in candidates
    )
