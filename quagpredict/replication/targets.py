"""Which score after RL is predicted: after how many steps, of which moment, and what the order is worth on the way."""

import polars as pl

from quagpredict.validation import validate

#: Candidates that must have gone further than all others for their later scores to be judged.
FEWEST_FURTHER = 12
SCHEMA = {
    "target": pl.String,
    "step": pl.Int64,
    "candidates": pl.Int64,
    "model": pl.String,
    **dict.fromkeys(("mean", "low", "high"), pl.Float64),
}


def by_target(
    frame: pl.DataFrame, models: list[str], *, repeats: int = 100, seed: int = 0, source: str = "corpus"
) -> pl.DataFrame:
    """Judge models by the paper's protocol against each score that could be the target.

    Parameters
    ----------
    frame : polars.DataFrame
        Finished runs, with ``post_curve``: measurements along RL.
    models : list of str
        As `validate` reads them.
    repeats, seed : int
        Of the random halves.
    source : str
        What to call the table in errors.

    Returns
    -------
    polars.DataFrame
        One row a ``target`` and ``model``: the share of pairs of one base model in the right order, ``mean`` with a
        90 % interval ``low``, ``high``. Targets are the score after each ``step`` at which all runs were measured;
        where there are several, their mean over the last two and the highest of them (``step`` null); and, for the
        candidates that were taken further, if there are `FEWEST_FURTHER`, the score from that step on. Empty where a
        run was not measured on the way.

    Examples
    --------
    >>> from quagpredict.testing.synthetic import synthetic_corpus
    >>> frame = synthetic_corpus(20, seed=1).frame
    >>> curves = [[{"step": 0, "pass_at_1": 0.1}, {"step": 50, "pass_at_1": x}] for x in frame["post_pass_at_1"]]
    >>> found = by_target(frame.with_columns(post_curve=pl.Series(curves)), ["linear:loss"], repeats=5)
    >>> found["target"].to_list()
    ['after 50 steps']
    """
    frame = frame.filter(pl.col("post_pass_at_1").is_not_null())
    if "post_curve" not in frame.columns or frame["post_curve"].null_count():
        return pl.DataFrame(schema=SCHEMA)
    rows = frame.with_row_index("row")
    points = rows.select("row", "candidate", "post_curve").explode("post_curve").unnest("post_curve")
    points = points.filter(pl.col("step") > 0).select("row", "candidate", "step", "pass_at_1")
    shared = _shared(points, frame.height)
    along = points.filter(pl.col("step").is_in(shared))
    parts = [_judged(rows, along, step, models, repeats, seed, source) for step in shared]
    if len(shared) > 1:
        last = along.filter(pl.col("step").is_in(shared[-2:])).group_by("row").agg(pl.col("pass_at_1").mean())
        best = along.group_by("row").agg(pl.col("pass_at_1").max())
        for name, scores in ((f"mean after {shared[-2]} and {shared[-1]} steps", last), ("highest on the way", best)):
            parts.append(_against(rows, scores, name, None, models, repeats, seed, source))
    beyond = points.filter(pl.col("step") > shared[-1]) if shared else points.clear()
    further = points.filter(pl.col("row").is_in(beyond["row"].unique().implode()))
    if further["candidate"].n_unique() >= FEWEST_FURTHER:
        for step in _shared(further, further["row"].n_unique()):
            if step >= shared[-1]:
                some = _judged(rows, further, step, models, repeats, seed, source)
                parts.append(some.with_columns(target=pl.col("target") + ", those taken further"))
    return pl.concat([pl.DataFrame(schema=SCHEMA), *parts])


def _shared(points: pl.DataFrame, rows: int) -> list[int]:
    """Return the steps at which all rows were measured."""
    return points.group_by("step").len().filter(pl.col("len") == rows)["step"].sort().to_list()


def _judged(
    rows: pl.DataFrame, points: pl.DataFrame, step: int, models: list[str], repeats: int, seed: int, source: str
) -> pl.DataFrame:
    scores = points.filter(pl.col("step") == step).select("row", "pass_at_1")
    return _against(rows, scores, f"after {step} steps", step, models, repeats, seed, source)


def _against(
    rows: pl.DataFrame,
    scores: pl.DataFrame,
    target: str,
    step: int | None,
    models: list[str],
    repeats: int,
    seed: int,
    source: str,
) -> pl.DataFrame:
    # Counts, errors and curves are those of the last step: without them nothing can be mistaken for this target's.
    left_out = [name for name in rows.columns if name.startswith("post_") or name in ("rl_curve", "recipe_scenario")]
    judged = rows.drop(left_out).join(scores.rename({"pass_at_1": "post_pass_at_1"}), on="row").drop("row")
    report = validate(judged, models, "random-halves", repeats=repeats, seed=seed, split=None, source=source)
    pairs = report.frame.filter(scenario="all", metric="pairwise_accuracy").filter(pl.col("model").is_in(models))
    columns = {"target": pl.lit(target), "step": pl.lit(step, pl.Int64)}
    return pairs.with_columns(**columns).select(SCHEMA.keys())
