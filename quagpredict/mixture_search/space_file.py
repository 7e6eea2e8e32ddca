"""SPACE.yaml: the search space and how its trials are run, checked whole before anything is trained."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from quagpredict.checkpoint import base_digest
from quagpredict.errors import QuagpredictError, RecipeError, UsageError
from quagpredict.lab import Mixture
from quagpredict.mixture_search.space import (
    FILES,
    SELECTIONS,
    Budget,
    SearchSpace,
    Setting,
    Source,
    file_size,
    tokens_per_example,
)
from quagpredict.plans.parts import SET_BY_PLAN, Base, Evaluation, Launch, ReinforcementLearning
from quagpredict.plans.plan import launch_of
from quagpredict.plans.recipe import Recipe
from quagpredict.plans.section import NAME, Section
from quagpredict.shipped import shipped_or_given, shipped_path
from quagpredict.surrogates.kinds import is_spec

_KEYS = ("name", "base", "sft", "budget", "sources", "epochs", "unique_share", "learning_rate", "selection")
_RUN_KEYS = ("score", "evaluation", "rungs", "rl", "launch")
_SOURCE_KEYS = ("lab", "min", "max", "max_repeats", "examples", "tokens_per_example")
_COLUMN_KEYS = ("dataset_prompt_column", "dataset_completion_column")
_FILE_KEYS = ("dataset_name", "dataset_config", "dataset_train_split", *_COLUMN_KEYS)


@dataclass(frozen=True)
class Scoring:
    """How a measured trial is scored by a surrogate.

    Attributes
    ----------
    surrogate : str or None
        Folder of the fitted surrogate, or a spec such as ``ridge:both:log-logit``; None for the prior of `rank`, which
        then learns from verified trials alone.
    corpus : str or None
        The runs it was fitted on, or is to be fitted on; with them, verified trials refit it.
    lower_bound : float
        The score is the quantile of this order of the predicted score after RL.
    max_distance : float
        Trials farther from the training runs than this are not feasible; 1 is the edge of the training set.
    """

    surrogate: str | None = None
    corpus: str | None = None
    lower_bound: float = 0.1
    max_distance: float = 1.0


@dataclass(frozen=True)
class Rungs:
    """Where a training is measured on its way: after every so large a part of it, with so many samples."""

    every: float
    samples: int


@dataclass(frozen=True)
class SearchPlan:
    """A search space and how its trials are trained, measured, scored and verified.

    Attributes
    ----------
    evaluation : Evaluation or None
        None where the caller measures (`suggest` and `observe`).
    """

    space: SearchSpace
    scoring: Scoring | None = None
    evaluation: Evaluation | None = None
    rungs: Rungs | None = None
    rl: ReinforcementLearning | None = None
    launch: Launch = field(default_factory=Launch)

    @classmethod
    def from_yaml(cls, path: str | Path) -> "SearchPlan":
        """Read and check a file: every key, every source's data, and that the bounds, caps and budget go together.

        Raises
        ------
        RecipeError
            At the first thing that is wrong; the message names the file and the key.

        Examples
        --------
        >>> plan = SearchPlan.from_yaml("collectors/searches/lab-mixture.yaml")
        >>> list(plan.space.distributions())[-2:]
        ['epochs', 'learning_rate']
        """
        path = shipped_or_given(path)
        top = Section(Recipe.read(path).config, str(path))
        top.only(*_KEYS, *_RUN_KEYS)
        space = _space(top)
        try:
            simplex = space.simplex
            assert simplex.sources
        except (RecipeError, UsageError) as error:
            raise top.error("sources", str(error)) from None
        _enough_examples(top, space)
        samples = None
        if "evaluation" in top.content:
            part = top.section("evaluation")
            part.only("suite", "samples", "engine", "batch_size")
            samples = part.whole("samples", 1)
        rl, after = _rl(top.section("rl"), samples) if "rl" in top.content else (None, samples)
        return cls(
            space,
            _scoring(top.section("score")) if "score" in top.content else None,
            _evaluation(top.section("evaluation"), samples, after) if samples is not None else None,
            _rungs(top.section("rungs"), samples) if "rungs" in top.content else None,
            rl,
            launch_of(top.section("launch", {})),
        )


def _space(top: Section) -> SearchSpace:
    name = top.text("name")
    if not NAME.fullmatch(name):
        raise top.error("name", f"expected letters, digits and _ . + -, got {name!r}")
    base = top.section("base")
    base.only("name", "family", "model_name_or_path")
    model = base.text("model_name_or_path")
    if not model.startswith((".", "/", "~")):
        with suppress(UsageError):  # then it is a model of the hub; base_digest refuses a path that is not there
            model = str(shipped_path(model))
    try:
        weights = base_digest(model)
    except QuagpredictError as error:
        raise base.error("model_name_or_path", str(error)) from None
    sft = top.section("sft")
    sft.only("recipe", "seed")
    recipe = sft.recipe("recipe")
    if recipe.config.get("max_steps", -1) != -1:
        raise sft.error("recipe", f"{recipe.path} sets max_steps, which would make every trial's epochs void")
    for key in (*SET_BY_PLAN, "lab_data", "dataset_name", "dataset_mixture", "dataset_select"):
        if key in recipe.config:
            raise sft.error("recipe", f"{recipe.path} sets {key}, which the search decides")
    budget = _budget(top.section("budget"))
    sources = [_source(section, budget, model, sft.whole("seed", 0, 0)) for section in _sections(top)]
    kinds = {"lab_data" if source.size is None and "dataset_name" not in source.data else "files" for source in sources}
    if len(kinds) > 1:
        raise top.error("sources", "sources of the lab and files cannot be mixed; write the lab's problems to a file")
    if ("epochs" in top.content) == ("unique_share" in top.content):
        raise top.error("epochs", "give epochs or unique_share; at a fixed budget the two are one (epochs = 1 / share)")
    passes = _setting(top, "epochs", 0.0) if "epochs" in top.content else _setting(top, "unique_share", 0.0, 1.0)
    selection = None
    if kinds == {"files"}:
        selection = _setting(top, "selection") if "selection" in top.content else Setting("selection", ("random",))
    elif "selection" in top.content:
        raise top.error("selection", "is for files; a source of the lab says by its own keys which problems it draws")
    family, named = base.text("family"), base.text("name")
    return SearchSpace(
        name,
        Base(named, family, model_name_or_path=model),
        weights,
        recipe,
        sft.whole("seed", 0, 0),
        budget,
        tuple(sources),
        passes,
        _setting(top, "learning_rate", 0.0, log=True),
        selection,
    )


def _sections(top: Section) -> list[Section]:
    sources = top.section("sources")
    if len(sources.names()) < 2:
        raise top.error("sources", f"a mixture needs at least two sources, got {len(sources.names())}")
    return [sources.section(name) for name in sources.names()]


def _budget(section: Section) -> Budget:
    section.only("examples", "tokens")
    if len(section.content) != 1:
        raise section.error("examples", "give the budget in examples or in tokens, one of them")
    unit = "tokens" if "tokens" in section.content else "examples"
    return Budget(section.whole(unit, 1), unit)  # type: ignore[arg-type]


def _source(section: Section, budget: Budget, model: str, seed: int) -> Source:
    section.only(*_SOURCE_KEYS, *_FILE_KEYS)
    name = section.where.split(".")[-2]
    low, high = section.number("min", 0.0, 1.0, 0.0), section.number("max", 0.0, 1.0, 1.0)
    if low > high:
        raise section.error("min", f"the lower bound {low:g} is above the upper bound {high:g}")
    if high == 0:
        raise section.error("max", "a source that may never be used; take it out")
    repeats = section.number("max_repeats", 1.0, 1e9) if "max_repeats" in section.content else None
    if ("lab" in section.content) == ("dataset_name" in section.content):
        raise section.error("lab", "a source needs either 'lab' (a chain spec) or 'dataset_name' (a file)")
    size = None
    if "lab" in section.content:
        data = dict(section.section("lab").content)
        for key in (*_FILE_KEYS, "examples"):
            if key in section.content:
                raise section.error(key, "is for files; the lab draws as many problems as it is asked for")
        if "share" in data:
            raise section.error("lab.share", "the search decides the shares")
        try:
            Mixture.from_mapping({"sources": [data]})
        except RecipeError as error:
            raise section.error("lab", str(error)) from None
    else:
        data = {key: section.text(key) for key in _FILE_KEYS if key in section.content}
        if data["dataset_name"].endswith(FILES):
            try:
                data["dataset_name"] = str(shipped_path(data["dataset_name"]))
            except UsageError as error:
                raise section.error("dataset_name", str(error)) from None
        try:
            size = section.whole("examples", 1) if "examples" in section.content else None
            counted = file_size(data) if data["dataset_name"].endswith(FILES) else size
        except RecipeError as error:
            raise section.error("dataset_name", str(error)) from None
        if counted is None:
            raise section.error("examples", "say how many examples this data set of the hub has")
        if size is not None and counted != size:
            raise section.error("examples", f"{data['dataset_name']} has {counted} examples, not {size}")
        size = counted
    source = Source(name, data, size, low, high, repeats)
    if budget.unit == "tokens":
        given = section.number("tokens_per_example", 1e-9, 1e9) if "tokens_per_example" in section.content else None
        try:
            source = replace(source, tokens_per_example=given or tokens_per_example(source.data, model, seed))
        except RecipeError as error:
            raise section.error("tokens_per_example", str(error)) from None
    elif "tokens_per_example" in section.content:
        raise section.error("tokens_per_example", "is for a budget in tokens")
    return source


def _setting(top: Section, key: str, above: float = 0.0, most: float = 1e9, *, log: bool = False) -> Setting:
    value = top.content.get(key)
    if key == "selection":
        return Setting(key, tuple(_selections(top)))
    if isinstance(value, Mapping):
        part = top.section(key)
        part.only("low", "high", "log")
        low, high = part.number("low", above, most), part.number("high", above, most)
        if not above < low < high:
            raise top.error(key, f"expected {above:g} < low < high, got low {low:g} and high {high:g}")
        scale = part.content.get("log", log or key == "epochs")
        if not isinstance(scale, bool):
            raise part.error("log", f"expected true or false, got {scale!r}")
        return Setting(key, low=low, high=high, log=scale)
    if key not in top.content:
        raise top.error(key, "this key is missing; give a number, a list, or {low: ..., high: ...}")
    values = top.listed(key, float, low=above)
    if max(values) > most:
        raise top.error(key, f"expected numbers of at most {most:g}, got {max(values):g}")
    return Setting(key, tuple(values))


def _selections(top: Section) -> list[str]:
    values: list[str] = top.listed("selection", str)
    for value in values:
        if value not in SELECTIONS:
            raise top.error("selection", f"expected some of {', '.join(SELECTIONS)}, got {value!r}")
    return values


def _enough_examples(top: Section, space: SearchSpace) -> None:
    """Refuse what some trial could not train: repeats by epochs alone, epochs without an example, exhausted specs."""
    ends = space.passes.ends
    fewest, most = ends if space.passes.name == "epochs" else (1 / ends[1], 1 / ends[0])
    for source in space.sources:
        if source.max_repeats is not None and source.max_repeats < most - 1e-9:
            raise top.error(
                f"sources.{source.name}.max_repeats",
                f"an example may be seen {source.max_repeats:g} times, but there are up to {most:g} epochs: lower one",
            )
    lengths = [source.tokens_per_example or 1.0 for source in space.sources]
    if space.budget.amount / max(lengths) / most < len(space.sources):
        raise top.error("budget", f"at {most:g} epochs an epoch has fewer examples than there are sources; raise it")
    for source, high, length in zip(space.sources, space.simplex.upper, lengths, strict=True):
        if source.size is None:
            wanted = int(high * space.budget.amount / length / fewest)
            try:
                Mixture.from_mapping({"sources": [dict(source.data)]}).problems(wanted, split="train", seed=space.seed)
            except RecipeError:
                raise top.error(
                    f"sources.{source.name}",
                    f"the lab has fewer than {wanted} different problems of this kind, which the largest share needs; "
                    "give it a lower max",
                ) from None


def _scoring(section: Section) -> Scoring:
    section.only("surrogate", "corpus", "lower_bound", "max_distance")
    paths = {}
    for key in ("surrogate", "corpus"):
        if key in section.content:
            try:
                named = section.text(key)
                paths[key] = named if key == "surrogate" and is_spec(named) else str(shipped_path(named))
            except UsageError as error:
                raise section.error(key, str(error)) from None
    spec = paths.get("surrogate")
    if spec is None and "corpus" in paths:
        raise section.error("surrogate", "this key is missing; name what is fitted on the corpus: a folder or a spec")
    if spec is not None and is_spec(spec) and "corpus" not in paths:
        raise section.error("corpus", f"this key is missing; '{spec}' is to be fitted on finished runs")
    lower = section.number("lower_bound", 0.001, 0.5, 0.1)
    return Scoring(spec, paths.get("corpus"), lower, section.number("max_distance", 0.0, 1e9, 1.0))


def _evaluation(section: Section, before: int, after: int | None) -> Evaluation:
    return Evaluation(
        suite=section.recipe("suite"),
        samples_before=before,
        samples_after=after or before,
        samples_along=after or before,
        engine=section.text("engine", "transformers"),
        batch_size=section.whole("batch_size", 1) if "batch_size" in section.content else None,
    )


def _rungs(section: Section, samples: int | None) -> Rungs:
    section.only("every", "samples")
    if samples is None:
        raise section.error("samples", "rungs need the section 'evaluation'")
    return Rungs(section.number("every", 0.02, 0.5), section.whole("samples", 1, samples))


def _rl(section: Section, samples: int | None) -> tuple[ReinforcementLearning, int | None]:
    section.only("recipe", "seeds", "samples")
    if samples is None:
        raise section.error("recipe", "verifying needs the section 'evaluation'")
    seeds = section.listed("seeds", int, low=0) if "seeds" in section.content else [0]
    return ReinforcementLearning(section.recipe("recipe"), tuple(seeds)), section.whole("samples", 1, samples)
