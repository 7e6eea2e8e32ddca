"""Every column of the table, named once: data type, unit, range, role and meaning.

One row is one candidate, with or without a finished RL run. What is measured before RL (``pre_*``, the features) and
after RL (``post_*``, the targets) share one set of suffixes, the *measurement*.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

import polars as pl

SCHEMA_VERSION = 1

PASS_K = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SCENARIOS = ("dataset-level", "instance-level", "random", "no-sft")
SPLITS = ("fit", "held_out")

Role = Literal["identity", "feature", "target", "nested", "cost"]


@dataclass(frozen=True)
class Column:
    """One column of the table.

    Parameters
    ----------
    name : str
        Name in the table.
    dtype : polars data type
        What the column is cast to on reading; only casts that lose nothing are made.
    unit : str
        Unit of the values; empty for text.
    low, high : float or None
        Smallest and largest valid value, both included; None for no bound.
    role : {"identity", "feature", "target", "nested", "cost"}
        What the column is for. Features are measured before RL, targets after it.
    description : str
        One sentence, or less.
    values : tuple of str
        If not empty, the only texts allowed.
    better : {"higher", "lower"} or None
        Which value is better, decided before looking at any result: learning the sign would be a fit. None for what
        points either way: lengths, entropies, shares of groups without signal.
    scale : {"identity", "log", "logit"}
        Where differences mean the same everywhere, so that a line may be fitted: the log of a loss, the logit of a
        share of solved problems.
    heading : str
        What a table calls it; by default the name, in words.
    k : float
        Of a Pass@k; 0 for anything else.
    part : float
        Share of the problems that it is measured on.
    """

    name: str
    dtype: pl.DataType
    unit: str
    low: float | None
    high: float | None
    role: Role
    description: str
    values: tuple[str, ...] = ()
    better: Literal["higher", "lower"] | None = None
    scale: Literal["identity", "log", "logit"] = "identity"
    heading: str = ""
    k: float = 0.0
    part: float = 1.0

    def __post_init__(self) -> None:
        if not self.heading:
            words = self.name.removeprefix("pre_").removesuffix("_nats").replace("_", " ")
            object.__setattr__(self, "heading", words)

    @property
    def sign(self) -> int:
        """1 if higher is better, -1 if lower is, 0 if neither is known to be."""
        return {"higher": 1, "lower": -1, None: 0}[self.better]


_TEXT, _INTEGER, _REAL = pl.String(), pl.Int64(), pl.Float64()

PROBLEM_FIELDS: dict[str, pl.DataType] = {
    "benchmark": _TEXT,
    "problem_id": _TEXT,
    "level": _INTEGER,
    "n": _INTEGER,
    "c": _INTEGER,
    "truncated": _INTEGER,
    "no_answer": _INTEGER,
    "distinct_answers": _INTEGER,
}
CURVE_FIELDS: dict[str, pl.DataType] = {
    "step": _INTEGER,
    "reward": _REAL,
    "reward_std": _REAL,
    "zero_variance_share": _REAL,
    "entropy": _REAL,
    "completion_length": _REAL,
    "clipped_share": _REAL,
}
POINT_FIELDS: dict[str, pl.DataType] = {
    "step": _INTEGER,
    "samples_per_problem": _INTEGER,
    "pass_at_1": _REAL,
    "pass_at_1_se": _REAL,
    "pass_at_16": _REAL,
    "token_entropy_nats": _REAL,
    "length_mean": _REAL,
    "truncated_share": _REAL,
}
PROBLEMS = pl.List(pl.Struct(PROBLEM_FIELDS))
CURVE = pl.List(pl.Struct(CURVE_FIELDS))
POINTS = pl.List(pl.Struct(POINT_FIELDS))


def _identity(
    name: str,
    dtype: pl.DataType,
    description: str,
    unit: str = "",
    low: float | None = None,
    values: tuple[str, ...] = (),
) -> Column:
    return Column(name, dtype, unit, low, None, "identity", description, values)


IDENTITY = (
    _identity("candidate", _TEXT, "name, unique within eval protocol, RL recipe and RL seed"),
    _identity("base_model", _TEXT, "model that SFT started from"),
    _identity("base_family", _TEXT, "architecture family of the base model"),
    _identity("recipe_id", _TEXT, "digest of the SFT recipe"),
    _identity("recipe_data_kind", _TEXT, "name of the SFT data"),
    _identity("recipe_unique_examples", _INTEGER, "distinct SFT examples", "examples", 0),
    _identity("recipe_epochs", _REAL, "passes over the SFT data", "epochs", 0),
    _identity(
        "recipe_planned_epochs", _REAL, "epochs of the whole SFT run, of which it may be a checkpoint", "epochs", 0
    ),
    _identity("recipe_learning_rate", _REAL, "peak learning rate of SFT", "1", 0),
    _identity("recipe_seed", _INTEGER, "seed of SFT"),
    _identity("recipe_examples_seen", _INTEGER, "SFT examples seen, repeats counted", "examples", 0),
    _identity("recipe_scenario", _TEXT, "what varies: the paradigm, or the choice of examples", values=SCENARIOS),
    _identity("eval_protocol_id", _TEXT, "digest of everything that fixes how samples are drawn and graded"),
    _identity("rl_recipe_id", _TEXT, "digest of everything that fixes the RL stage; null where RL has not run"),
    _identity("rl_seed", _INTEGER, "seed of RL"),
    _identity("rl_steps", _INTEGER, "optimizer steps of RL", "steps", 0),
    _identity("split", _TEXT, "whether a shipped surrogate may see the row", values=SPLITS),
)


def _measure(
    name: str,
    unit: str,
    low: float | None,
    high: float | None,
    description: str,
    better: Literal["higher", "lower"] | None = None,
    *,
    dtype: pl.DataType = _REAL,
    scale: Literal["identity", "log", "logit"] = "identity",
    heading: str = "",
    k: float = 0.0,
    part: float = 1.0,
) -> Column:
    return Column(name, dtype, unit, low, high, "feature", description, (), better, scale, heading, k, part)


def pass_at_column(name: str, k: float, description: str, **settings: Any) -> Column:
    """Return the column of a Pass@k.

    Examples
    --------
    >>> pass_at_column("pre_pass_at_8", 8, "").heading
    'Pass@8'
    """
    settings = {"heading": f"Pass@{k:g}", **settings}
    return _measure(name, "fraction", 0, 1, description, "higher", scale="logit", k=k, **settings)


def _loss(name: str, unit: str, description: str, heading: str) -> Column:
    return _measure(name, unit, 0, None, description, "lower", scale="log", heading=heading)


def _count(name: str, unit: str, description: str) -> Column:
    return _measure(name, unit, 1, None, description, dtype=_INTEGER)


def _level(name: str, which: str) -> Column:
    description = f"Pass@1 on the {which} third of levels"
    return pass_at_column(f"pass_at_1_{name}", 1, description, heading=f"Pass@1 {name}", part=1 / 3)


# Every measurement once, without ``pre_`` or ``post_``.
MEASURES: tuple[Column, ...] = (
    *(pass_at_column(f"pass_at_{k}", k, f"unbiased Pass@{k}, mean over problems; null where n < {k}") for k in PASS_K),
    _measure("pass_at_1_se", "fraction", 0, 1, "standard error of Pass@1 over problems", heading="Pass@1 SE"),
    _level("easy", "lowest"),
    _level("medium", "middle"),
    _level("hard", "highest"),
    _loss("held_out_loss_nats", "nats/token", "loss on held-out completions, token-weighted", "loss"),
    _measure("held_out_loss_se", "nats/token", 0, None, "standard error of the held-out loss over problems"),
    _loss("held_out_bits_per_byte", "bits/byte", "the same loss per byte of text", "bits/byte"),
    # How many were cut says something of the held-out set and the limit, not of the candidate.
    _measure("held_out_truncated_share", "fraction", 0, 1, "held-out completions that were cut to fit"),
    _measure("length_mean", "tokens", 0, None, "mean length of a response"),
    _measure("length_median", "tokens", 0, None, "median length of a response"),
    _measure("length_p95", "tokens", 0, None, "95th percentile of the length of a response"),
    _measure("length_correct_mean", "tokens", 0, None, "mean length of correct responses"),
    _measure("length_wrong_mean", "tokens", 0, None, "mean length of wrong responses"),
    _measure("truncated_share", "fraction", 0, 1, "responses cut by the token budget", "lower"),
    _measure("no_answer_share", "fraction", 0, 1, "finished responses without a final answer", "lower"),
    _measure("distinct_answers_mean", "answers", 0, None, "distinct answers a problem, mean over problems"),
    _measure("agreement_mean", "fraction", 0, 1, "share of the most common answer, mean over problems", "higher"),
    _measure("token_entropy_nats", "nats/token", 0, None, "entropy of the next token, mean over sampled tokens"),
    _measure("token_log_prob_nats", "nats/token", None, 0, "log-probability of sampled tokens, mean", "higher"),
    _measure("reward_variance", "1", 0, 1, "unbiased p(1-p), mean over problems"),
    _measure("zero_variance_share_g8", "fraction", 0, 1, "expected share of GRPO groups of 8 with equal rewards"),
    _measure("zero_variance_share_g16", "fraction", 0, 1, "expected share of GRPO groups of 16 with equal rewards"),
    _count("samples_per_problem", "samples", "smallest number of samples of a problem"),
    _count("problems_count", "problems", "number of problems"),
)
MEASUREMENT = tuple(column.name for column in MEASURES)


def _measured(prefix: str, role: Role) -> tuple[Column, ...]:
    return tuple(replace(column, name=f"{prefix}_{column.name}", role=role) for column in MEASURES)


FEATURES = _measured("pre", "feature")
TARGETS = _measured("post", "target")


def _nested(name: str, dtype: pl.DataType, description: str, heading: str = "") -> Column:
    return Column(name, dtype, "", None, None, "nested", description, heading=heading)


NESTED = (
    _nested("pre_problems", PROBLEMS, "counts of each problem before RL", "Pass@k at all k"),
    _nested("post_problems", PROBLEMS, "counts of each problem after RL", "Pass@k at all k"),
    _nested("rl_curve", CURVE, "training log of GRPO"),
    _nested("post_curve", POINTS, "measurements along RL, before and after it included", "RL so far"),
)
# The nested columns that hold counts of problems, and the fields of the others.
PROBLEM_COLUMNS = ("pre_problems", "post_problems")
CURVES = {"rl_curve": CURVE_FIELDS, "post_curve": POINT_FIELDS}
COSTS = tuple(
    Column(f"cost_{stage}_s", _REAL, "seconds", 0, None, "cost", f"seconds spent on {text}")
    for stage, text in (
        ("sft", "SFT"),
        ("pre_evaluation", "the evaluation before RL"),
        ("rl", "RL"),
        ("post_evaluation", "the evaluation after RL"),
    )
)

COLUMNS: tuple[Column, ...] = (*IDENTITY, *FEATURES, *TARGETS, *NESTED, *COSTS)
BY_NAME: dict[str, Column] = {column.name: column for column in COLUMNS}

# What makes a row: the same candidate may be there once for each of these.
KEY = ("candidate", "eval_protocol_id", "rl_recipe_id", "rl_seed")


def empty_frame() -> pl.DataFrame:
    """Return the table with every column and no row.

    Examples
    --------
    >>> from quagpredict.schema import COLUMNS, empty_frame
    >>> empty_frame().shape == (0, len(COLUMNS))
    True
    """
    return pl.DataFrame(schema={column.name: column.dtype for column in COLUMNS})
