"""A search space: sources with bounds and what their files hold, a budget, and the settings that are searched."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from quagpredict.arrays import Floats
from quagpredict.errors import InvalidDataError, RecipeError
from quagpredict.files import digest
from quagpredict.lab import Mixture
from quagpredict.mixture_search.simplex import BoundedSimplex
from quagpredict.optional import require
from quagpredict.packed import packing_of
from quagpredict.parquet import read_parquet
from quagpredict.plans.parts import Base
from quagpredict.plans.recipe import Recipe, recipe_content

Value = float | int | str

FILES = (".jsonl", ".json", ".parquet")
SELECTIONS = ("random", "first", "shortest", "longest")
_MEASURED = 1000


@dataclass(frozen=True)
class Source:
    """One source of SFT data.

    Attributes
    ----------
    data : mapping
        The keys that the training program is given: a chain spec of the lab, or ``dataset_name`` and what goes with it.
    size : int or None
        How many examples there are; None for a source of the lab, which draws as many as it is asked for.
    low, high : float
        Bounds of its share, in the unit of the budget.
    max_repeats : float or None
        How often an example of it may be seen at most; None for no cap.
    tokens_per_example : float or None
        Mean length, where the budget is in tokens.
    """

    name: str
    data: Mapping[str, Any]
    size: int | None = None
    low: float = 0.0
    high: float = 1.0
    max_repeats: float | None = None
    tokens_per_example: float | None = None


@dataclass(frozen=True)
class Setting:
    """A setting that is searched with the mixture: one value, several, or a range.

    Attributes
    ----------
    choices : tuple
        The values, if it is no range; one value is not searched.
    low, high : float
        Ends of the range.
    log : bool
        Whether the range is searched on a logarithmic scale.

    Examples
    --------
    >>> Setting("learning_rate", low=1e-4, high=1e-2, log=True).distribution()
    FloatDistribution(high=0.01, log=True, low=0.0001, step=None)
    >>> Setting("epochs", choices=(4.0,)).distribution() is None
    True
    """

    name: str
    choices: tuple[Value, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False

    def distribution(self) -> Any:
        """Return the Optuna distribution, or None if there is nothing to search."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution

        if len(self.choices) == 1:
            return None
        if self.choices:
            return CategoricalDistribution(self.choices)
        return FloatDistribution(self.low, self.high, log=self.log)

    def value(self, params: Mapping[str, Any]) -> Any:
        """Return the value in a trial's parameters, numbers with three digits, so that equal recipes stay equal."""
        value = self.choices[0] if len(self.choices) == 1 else params[self.name]
        return value if isinstance(value, str) else float(f"{value:.3g}")

    @property
    def ends(self) -> tuple[float, float]:
        """Smallest and largest number; only for a setting of numbers."""
        numbers = [float(value) for value in self.choices] or [self.low, self.high]
        return min(numbers), max(numbers)


@dataclass(frozen=True)
class Budget:
    """How much SFT each trial may see: examples or tokens, repeats counted."""

    amount: float
    unit: Literal["examples", "tokens"] = "examples"


@dataclass(frozen=True)
class SearchSpace:
    """Everything that a trial's parameters are turned into a recipe with.

    Attributes
    ----------
    base : Base
        The model that SFT starts from.
    base_digest : str
        Digest of its weights, or its name and revision: what it is, wherever it lies.
    sft : Recipe
        Training settings that all trials share.
    seed : int
        Of every SFT.
    passes : Setting
        ``epochs``, or ``unique_share``, the share of distinct examples in what is seen: at a fixed budget the two are
        one, epochs = 1 / unique share.
    selection : Setting or None
        Which examples of a file are taken; None for sources of the lab.
    """

    name: str
    base: Base
    base_digest: str
    sft: Recipe
    seed: int
    budget: Budget
    sources: tuple[Source, ...]
    passes: Setting
    learning_rate: Setting
    selection: Setting | None = None

    @cached_property
    def simplex(self) -> BoundedSimplex:
        """The mixtures that bounds, repetition caps and budget allow together.

        Raises
        ------
        RecipeError
            If they allow none; the message says which of them is in the way.
        """
        lower = np.array([source.low for source in self.sources])
        declared = np.array([source.high for source in self.sources])
        within_caps = np.minimum(declared, [self.largest_share(source) for source in self.sources])
        for source, low, cap in zip(self.sources, lower, within_caps, strict=True):
            if low > cap + 1e-12:
                raise RecipeError(
                    f"source '{source.name}': its lower bound is {low:g}, but {source.size} examples seen at most "
                    f"{source.max_repeats:g} times are {cap:.3g} of the budget; lower one of them"
                )
        if lower.sum() > 1 + 1e-12:
            raise RecipeError(f"the lower bounds of the sources add up to {lower.sum():.6g}; at most 1 is possible")
        if declared.sum() < 1 - 1e-12:
            raise RecipeError(f"the upper bounds of the sources add up to {declared.sum():.6g}; at least 1 is needed")
        if within_caps.sum() < 1 - 1e-12:
            raise RecipeError(
                f"the budget of {self.budget.amount:g} {self.budget.unit} is larger than the data: with the repetition "
                f"caps and bounds of the sources there are {within_caps.sum() * self.budget.amount:.0f}; lower the "
                "budget, or raise max_repeats"
            )
        return BoundedSimplex(lower, within_caps)

    def largest_share(self, source: Source) -> float:
        """Return the largest share of a source that its repetition cap allows."""
        if source.size is None or source.max_repeats is None:
            return 1.0
        length = 1.0 if self.budget.unit == "examples" else source.tokens_per_example or 1.0
        return min(1.0, source.size * source.max_repeats * length / self.budget.amount)

    @property
    def stick_names(self) -> tuple[str, ...]:
        """Names of the K - 1 mixture parameters; the last source has what the others leave."""
        return tuple(f"mixture.{source.name}" for source in self.sources[:-1])

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The settings beside the mixture."""
        return tuple(setting for setting in (self.passes, self.learning_rate, self.selection) if setting is not None)

    def distributions(self) -> dict[str, Any]:
        """Return the Optuna distribution of every parameter that is searched, by name.

        The mixture's parameters lie in [0, 1]: the first is the quantile of the first source's share, each later one
        that of its source's share given those before.
        """
        from optuna.distributions import FloatDistribution

        axes: dict[str, Any] = {name: FloatDistribution(0.0, 1.0) for name in self.stick_names}
        searched = {setting.name: setting.distribution() for setting in self.settings}
        return axes | {name: distribution for name, distribution in searched.items() if distribution is not None}

    def shares_of(self, params: Mapping[str, Any]) -> Floats:
        """Return the mixture, (K,), of a trial's parameters."""
        return self.simplex.from_unit([params[name] for name in self.stick_names])

    def sticks_of(self, shares: Floats) -> dict[str, float]:
        """Return the mixture parameters of shares, (K,)."""
        return dict(zip(self.stick_names, map(float, self.simplex.to_unit(shares)), strict=True))

    @property
    def space_id(self) -> str:
        """Digest of what a trial's parameters mean; trials of another space cannot go into the same study."""
        content = {key: value for key, value in asdict(self).items() if key not in ("name", "base", "sft")}
        return digest({**content, "sft": recipe_content(self.sft.config)})


def file_size(data: Mapping[str, Any]) -> int:
    """Return the number of examples of a local file that the training program can read.

    Parameters
    ----------
    data : mapping
        ``dataset_name`` (JSON lines or Parquet), and optionally the names of its columns.

    Raises
    ------
    RecipeError
        If it cannot be read, is empty, or has neither the columns of prompt and completion nor ``messages``.
    """
    frame = _read(data)
    path = data["dataset_name"]
    if frame.height == 0:
        raise RecipeError(f"{path}: the source is empty; take it out, or fill it")
    wanted = (data.get("dataset_prompt_column", "prompt"), data.get("dataset_completion_column", "completion"))
    for column in wanted:
        if column not in frame.columns and "messages" not in frame.columns:
            raise RecipeError(f"{path}: no column '{column}'; it has {', '.join(frame.columns)}")
    return frame.height


def tokens_per_example(data: Mapping[str, Any], model: str, seed: int) -> float:
    """Return the mean number of tokens of prompt and completion together, over up to 1,000 examples.

    Raises
    ------
    RecipeError
        If the base model has no ``tokenizer.json`` on this machine, or the source cannot be read here: then the file
        must say it.
    """
    path = Path(model) / "tokenizer.json"
    if not path.is_file():
        raise RecipeError(f"{model} has no tokenizer.json here to count with; give tokens_per_example")
    tokenizer = require("tokenizers").Tokenizer.from_file(str(path))
    texts = list(islice(_texts(data, seed), _MEASURED))
    return sum(len(entry.ids) for entry in tokenizer.encode_batch(texts)) / len(texts)


def _texts(data: Mapping[str, Any], seed: int) -> Iterator[str]:
    if "dataset_name" not in data:
        for problem in Mixture.from_mapping({"sources": [dict(data)]}).problems(200, split="train", seed=seed):
            yield problem.prompt + problem.completion
        return
    if not data["dataset_name"].endswith(FILES):
        raise RecipeError(f"{data['dataset_name']} is not on this machine; give tokens_per_example")
    columns = (data.get("dataset_prompt_column", "prompt"), data.get("dataset_completion_column", "completion"))
    frame = _read(data)
    step = max(1, frame.height // _MEASURED)
    for row in frame.gather_every(step).iter_rows(named=True):
        parts = [row.get(column) for column in columns] if columns[0] in row else row["messages"]
        yield " ".join(str(part.get("content", "")) if isinstance(part, dict) else str(part) for part in parts)


def _read(data: Mapping[str, Any]) -> pl.DataFrame:
    path = data["dataset_name"]
    try:
        if path.endswith(".parquet"):
            return read_parquet(path)
        if (packed := packing_of(Path(path))) is not None:  # polars would unpack it without a limit
            raise InvalidDataError(f"it is compressed with {packed}, unpack it")
        if path.endswith(".json"):
            return pl.read_json(path)
        return pl.read_ndjson(path, infer_schema_length=None) if Path(path).stat().st_size else pl.DataFrame()
    except (OSError, InvalidDataError, pl.exceptions.PolarsError) as error:
        raise RecipeError(f"{path}: cannot be read as JSON lines or Parquet: {str(error).splitlines()[0]}") from None
