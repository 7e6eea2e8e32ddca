"""A column of the table: data type, unit, range, role and meaning."""

from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

Role = Literal["identity", "feature", "target", "nested", "cost"]


@dataclass(frozen=True)
class Column:
    """One column of the table."""

    name: str  #: Name in the table.
    dtype: pl.DataType  #: What the column is cast to on reading; only casts that lose nothing are made.
    unit: str  #: Unit of the values; empty for text.
    #: `low` and `high`: Smallest and largest valid value, both included; None for no bound.
    low: float | None
    high: float | None
    role: Role  #: What the column is for. Features are measured before RL, targets after it.
    description: str  #: One sentence, or less.
    values: tuple[str, ...] = ()  #: If not empty, the only texts allowed.
    #: Which value is better, decided before looking at any result: learning the sign would be a fit. None for what
    #: points either way: lengths, entropies, shares of groups without signal.
    better: Literal["higher", "lower"] | None = None
    #: Where differences mean the same everywhere, so that a line may be fitted: the log of a loss, the logit of a
    #: share of solved problems.
    scale: Literal["identity", "log", "logit"] = "identity"
    heading: str = ""  #: What a table calls it; by default the name, in words.
    k: float = 0.0  #: Of a Pass@k; 0 for anything else.
    part: float = 1.0  #: Share of the problems that it is measured on.

    def __post_init__(self) -> None:
        if not self.heading:
            words = self.name.removeprefix("pre_").removesuffix("_nats").replace("_", " ")
            object.__setattr__(self, "heading", words)

    @property
    def sign(self) -> int:
        """1 if higher is better, -1 if lower is, 0 if neither is known to be."""
        return {"higher": 1, "lower": -1, None: 0}[self.better]


def measure_column(
    name: str,
    unit: str,
    low: float | None,
    high: float | None,
    description: str,
    better: Literal["higher", "lower"] | None = None,
    *,
    dtype: pl.DataType | None = None,
    scale: Literal["identity", "log", "logit"] = "identity",
    heading: str = "",
    k: float = 0.0,
    part: float = 1.0,
) -> Column:
    """Return the column of a measurement, called without ``pre_`` or ``post_``.

    Examples
    --------
    >>> measure_column("length_mean", "tokens", 0, None, "mean length of a response").heading
    'length mean'
    """
    return Column(
        name, dtype or pl.Float64(), unit, low, high, "feature", description, (), better, scale, heading, k, part
    )


def pass_at_column(name: str, k: float, description: str, **settings: Any) -> Column:
    """Return the column of a Pass@k.

    Examples
    --------
    >>> pass_at_column("pre_pass_at_8", 8, "").heading
    'Pass@8'
    """
    settings = {"heading": f"Pass@{k:g}", **settings}
    return measure_column(name, "fraction", 0, 1, description, "higher", scale="logit", k=k, **settings)
