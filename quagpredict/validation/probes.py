"""A short RL run as a predictor: the score, or the training reward, after the first steps."""

import numpy as np
import polars as pl

#: Share of the RL steps whose training reward is averaged.
SHARE = 0.1
PREFIX = "probe_"


def with_probes(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the table with what a short RL run of each candidate showed, where every row has recorded it.

    ``probe_pass_at_1_step_N`` is the score on the suite at the earliest step N above 0 at which all rows were measured
    (``post_curve``; a step from which some row ends is no probe), and ``probe_pass_at_16_step_N`` the same of Pass@16.
    ``probe_reward_step_N`` is the mean training reward up to step N, a tenth of the steps (``rl_curve``). All cost N
    steps of RL for each candidate.

    Examples
    --------
    >>> curve = [{"step": 0, "pass_at_1": 0.1}, {"step": 50, "pass_at_1": 0.3}, {"step": 200, "pass_at_1": 0.5}]
    >>> with_probes(pl.DataFrame({"candidate": ["a"], "post_curve": [curve]}))["probe_pass_at_1_step_50"].to_list()
    [0.3]
    """
    for column, field in (("post_curve", "pass_at_1"), ("post_curve", "pass_at_16"), ("rl_curve", "reward")):
        if column not in frame.columns or not isinstance(frame[column].dtype, pl.List) or not frame.height:
            continue
        points = frame.schema[column]
        inner = points.inner if isinstance(points, pl.List) else None
        if not isinstance(inner, pl.Struct) or field not in {own.name for own in inner.fields}:
            continue
        if frame[column].list.len().fill_null(0).min() == 0:
            continue
        flat = frame.select(pl.int_range(pl.len()).alias("row"), pl.col(column)).explode(column).unnest(column)
        flat = flat.select("row", "step", value=field).drop_nulls()
        last = flat.group_by("row").agg(pl.col("step").max())["step"].min()
        if last is None or flat["row"].n_unique() < frame.height:
            continue
        if column == "post_curve":
            common = flat.filter((pl.col("step") > 0) & (pl.col("step") < last)).group_by("step").agg(pl.len())
            steps = common.filter(pl.col("len") == frame.height)["step"]
            if not len(steps):
                continue
            step = int(np.min(steps.to_numpy()))
            values = flat.filter(step=step).sort("row")["value"]
        else:
            early = flat.filter(pl.col("step") <= max(SHARE * float(last), float(flat["step"].min())))  # type: ignore[arg-type]
            if early["row"].n_unique() < frame.height:
                continue
            step = int(early["step"].max())  # type: ignore[arg-type]
            values = early.group_by("row").agg(pl.col("value").mean()).sort("row")["value"]
        frame = frame.with_columns(values.alias(f"{PREFIX}{field}_step_{step}"))
    return frame


def probe_columns(frame: pl.DataFrame) -> list[str]:
    """Return the columns that `with_probes` has added."""
    return [name for name in frame.columns if name.startswith(PREFIX)]
