"""Every column of the table, named once: data type, unit, range, role and meaning.

One row is one candidate, with or without a finished RL run. What is measured before RL (``pre_*``, the features) and
after RL (``post_*``, the targets) share one set of suffixes, the *measurement*.
"""

from dataclasses import replace

import polars as pl

from quagpredict.column import Column as Column
from quagpredict.column import Role, measure_column, pass_at_column
from quagpredict.metrics.statistics import STATISTICS

SCHEMA_VERSION = 1

PASS_K = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SCENARIOS = ("dataset-level", "instance-level", "random", "no-sft")
SPLITS = ("fit", "held_out")


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


def _loss(name: str, unit: str, description: str, heading: str) -> Column:
    return measure_column(name, unit, 0, None, description, "lower", scale="log", heading=heading)


def _count(name: str, unit: str, description: str) -> Column:
    return measure_column(name, unit, 1, None, description, dtype=_INTEGER)


def _level(name: str, which: str) -> Column:
    description = f"Pass@1 on the {which} third of levels"
    return pass_at_column(f"pass_at_1_{name}", 1, description, heading=f"Pass@1 {name}", part=1 / 3)


# Every measurement once, without ``pre_`` or ``post_``.
MEASURES: tuple[Column, ...] = (
    *(pass_at_column(f"pass_at_{k}", k, f"unbiased Pass@{k}, mean over problems; null where n < {k}") for k in PASS_K),
    measure_column("pass_at_1_se", "fraction", 0, 1, "standard error of Pass@1 over problems", heading="Pass@1 SE"),
    _level("easy", "lowest"),
    _level("medium", "middle"),
    _level("hard", "highest"),
    _loss("held_out_loss_nats", "nats/token", "loss on held-out completions, token-weighted", "loss"),
    measure_column("held_out_loss_se", "nats/token", 0, None, "standard error of the held-out loss over problems"),
    _loss("held_out_bits_per_byte", "bits/byte", "the same loss per byte of text", "bits/byte"),
    # How many were cut says something of the held-out set and the limit, not of the candidate.
    measure_column("held_out_truncated_share", "fraction", 0, 1, "held-out completions that were cut to fit"),
    *(statistic.column for statistic in STATISTICS if statistic.stored),
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
