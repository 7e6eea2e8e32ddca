"""Which checkpoint of one SFT run to take through RL: what each rule costs."""

import numpy as np
import polars as pl

_RUN = ("recipe_id", "recipe_epochs", "recipe_examples_seen")
#: Rule -> the column that is highest (or, after a minus, lowest) for the checkpoint that it takes.
RULES = {
    "the last one": "recipe_epochs",
    "the first one": "-recipe_epochs",
    "highest SFT Pass@1": "pre_pass_at_1",
    "highest Pass@64": "pre_pass_at_64",
    "lowest held-out loss": "-pre_held_out_loss_nats",
}
SCHEMA = {"rule": pl.String, "sft_runs": pl.Int64, "regret": pl.Float64, "low": pl.Float64, "high": pl.Float64}


def checkpoint_choice(frame: pl.DataFrame, *, resamples: int = 2000, seed: int = 0) -> pl.DataFrame:
    """Return the regret of choosing among the checkpoints of each SFT run, by each rule.

    Parameters
    ----------
    frame : polars.DataFrame
        Finished runs; checkpoints of one SFT run share all columns ``recipe_*`` but the epochs they have seen, the
        planned epochs included. RL seeds are averaged.
    resamples, seed : int
        Of the bootstrap over SFT runs.

    Returns
    -------
    polars.DataFrame
        One row a ``rule``: mean ``regret`` over the ``sft_runs`` of which several checkpoints went through RL, as a
        fraction, with its 90 % interval. Regret is against the best observed outcome, so noise alone makes it positive.
        Empty where no SFT run has several.

    Examples
    --------
    >>> table = pl.DataFrame({"candidate": ["early", "late"], "recipe_epochs": [1.0, 4.0],
    ...     "recipe_planned_epochs": [4.0, 4.0], "pre_pass_at_1": [0.2, 0.4], "post_pass_at_1": [0.8, 0.7]})
    >>> checkpoint_choice(table).select("rule", "sft_runs", pl.col("regret").round(3)).rows()[:2]
    [('the last one', 1, 0.1), ('the first one', 1, 0.0)]
    """
    if not {"recipe_epochs", "recipe_planned_epochs"} <= set(frame.columns):
        return pl.DataFrame(schema=SCHEMA)
    # What does not say that it is a checkpoint is the end of its run.
    frame = frame.with_columns(pl.coalesce("recipe_planned_epochs", "recipe_epochs").alias("recipe_planned_epochs"))
    run = [name for name in frame.columns if name.startswith("recipe_") and name not in _RUN]
    run += ["base_model"] if "base_model" in frame.columns else []
    features = [column.lstrip("-") for column in RULES.values() if column.lstrip("-") in frame.columns]
    candidates = frame.group_by("candidate", maintain_order=True).agg(
        pl.col(dict.fromkeys([*run, *features])).first(), pl.col("post_pass_at_1").mean()
    )
    candidates = candidates.filter(pl.col("recipe_epochs") > 0, pl.col("post_pass_at_1").is_not_null())
    candidates = candidates.filter(pl.col("recipe_epochs").n_unique().over(run) > 1)
    runs = candidates.group_by(run, maintain_order=True)
    lines = []
    rng = np.random.default_rng(seed)
    for rule, column in RULES.items():
        name = column.lstrip("-")
        if name not in candidates.columns or not candidates.height or candidates[name].null_count():
            continue
        order = -pl.col(name) if column.startswith("-") else pl.col(name)
        lost = runs.agg(regret=pl.col("post_pass_at_1").max() - pl.col("post_pass_at_1").get(order.arg_max()))[
            "regret"
        ].to_numpy()
        drawn = lost[rng.integers(0, len(lost), (resamples, len(lost)))].mean(axis=1)
        low, high = np.quantile(drawn, (0.05, 0.95)) if len(lost) > 1 else (None, None)
        lines.append((rule, len(lost), float(lost.mean()), low, high))
    return pl.DataFrame(lines, schema=SCHEMA, orient="row")
