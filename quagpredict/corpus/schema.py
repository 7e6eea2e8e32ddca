"""Every column of the table, named once: data type, unit, range, role and meaning.

One row is one candidate, with or without a finished RL run. What is measured before RL (``pre_*``, the features) and
after RL (``post_*``, the targets) share one set of suffixes, the *measurement*.
"""

from dataclasses import dataclass
from typing import Literal

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
    """

    name: str
    dtype: pl.DataType
    unit: str
    low: float | None
    high: float | None
    role: Role
    description: str
    values: tuple[str, ...] = ()


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

# suffix, data type, unit, low, high, description
_Measure = tuple[str, pl.DataType, str, float | None, float | None, str]
_MEASUREMENT: tuple[_Measure, ...] = (
    *(
        (f"pass_at_{k}", _REAL, "fraction", 0, 1, f"unbiased Pass@{k}, mean over problems; null where n < {k}")
        for k in PASS_K
    ),
    ("pass_at_1_se", _REAL, "fraction", 0, 1, "standard error of Pass@1 over problems"),
    ("pass_at_1_easy", _REAL, "fraction", 0, 1, "Pass@1 on the lowest third of levels"),
    ("pass_at_1_medium", _REAL, "fraction", 0, 1, "Pass@1 on the middle third of levels"),
    ("pass_at_1_hard", _REAL, "fraction", 0, 1, "Pass@1 on the highest third of levels"),
    ("held_out_loss_nats", _REAL, "nats/token", 0, None, "loss on held-out completions, token-weighted"),
    ("held_out_loss_se", _REAL, "nats/token", 0, None, "standard error of the held-out loss over problems"),
    ("held_out_bits_per_byte", _REAL, "bits/byte", 0, None, "the same loss per byte of text"),
    ("held_out_truncated_share", _REAL, "fraction", 0, 1, "held-out completions that were cut to fit"),
    ("length_mean", _REAL, "tokens", 0, None, "mean length of a response"),
    ("length_median", _REAL, "tokens", 0, None, "median length of a response"),
    ("length_p95", _REAL, "tokens", 0, None, "95th percentile of the length of a response"),
    ("length_correct_mean", _REAL, "tokens", 0, None, "mean length of correct responses"),
    ("length_wrong_mean", _REAL, "tokens", 0, None, "mean length of wrong responses"),
    ("truncated_share", _REAL, "fraction", 0, 1, "responses cut by the token budget"),
    ("no_answer_share", _REAL, "fraction", 0, 1, "finished responses without a final answer"),
    ("distinct_answers_mean", _REAL, "answers", 0, None, "distinct answers a problem, mean over problems"),
    ("agreement_mean", _REAL, "fraction", 0, 1, "share of the most common answer, mean over problems"),
    ("token_entropy_nats", _REAL, "nats/token", 0, None, "entropy of the next token, mean over sampled tokens"),
    ("token_log_prob_nats", _REAL, "nats/token", None, 0, "log-probability of sampled tokens, mean"),
    ("reward_variance", _REAL, "1", 0, 1, "unbiased p(1-p), mean over problems"),
    ("zero_variance_share_g8", _REAL, "fraction", 0, 1, "expected share of GRPO groups of 8 with equal rewards"),
    ("zero_variance_share_g16", _REAL, "fraction", 0, 1, "expected share of GRPO groups of 16 with equal rewards"),
    ("samples_per_problem", _INTEGER, "samples", 1, None, "smallest number of samples of a problem"),
    ("problems_count", _INTEGER, "problems", 1, None, "number of problems"),
)
MEASUREMENT = tuple(measure[0] for measure in _MEASUREMENT)


def _measured(prefix: str, role: Role) -> tuple[Column, ...]:
    return tuple(
        Column(f"{prefix}_{suffix}", dtype, unit, low, high, role, text)
        for suffix, dtype, unit, low, high, text in _MEASUREMENT
    )


FEATURES = _measured("pre", "feature")
TARGETS = _measured("post", "target")
NESTED = (
    Column("pre_problems", PROBLEMS, "", None, None, "nested", "counts of each problem before RL"),
    Column("post_problems", PROBLEMS, "", None, None, "nested", "counts of each problem after RL"),
    Column("rl_curve", CURVE, "", None, None, "nested", "training log of GRPO"),
    Column("post_curve", POINTS, "", None, None, "nested", "measurements along RL, before and after it included"),
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
    >>> from quagpredict.corpus.schema import COLUMNS, empty_frame
    >>> empty_frame().shape == (0, len(COLUMNS))
    True
    """
    return pl.DataFrame(schema={column.name: column.dtype for column in COLUMNS})
