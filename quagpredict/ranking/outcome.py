"""What RL really gave: joined to candidates, and what each way of choosing would have cost."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from quagpredict.corpus import read_corpus
from quagpredict.corpus.columns import column_of, pass_at
from quagpredict.corpus.weights import weighted
from quagpredict.errors import CorpusError, IncomparableError, InvalidDataError
from quagpredict.ranking.headers import HeadersError, with_headers
from quagpredict.ranking.result import Choice, Outcome
from quagpredict.validation.free_orders import free_orders
from quagpredict.validation.within_base import within_base

SFT_SCORE = "pre_pass_at_1"
#: Column of a candidate's table that holds the curve of its RL.
CURVE = "post_curve"
_UNKNOWN = (float("nan"),) * 3


def one_row_each(frame: pl.DataFrame, target: str) -> pl.DataFrame:
    """Return one row a candidate, with the target's mean over its RL seeds; the order is kept.

    A candidate that appears twice, with its result and as it was before RL, is kept with its result.

    Raises
    ------
    CorpusError
        If one name stands for rows of several eval protocols, or of several RL recipes: what is said of a candidate is
        said by its name.

    Examples
    --------
    >>> table = pl.DataFrame({"candidate": ["a", "b", "a"], "score": [None, None, 0.5]})
    >>> one_row_each(table, "score")["score"].to_list()
    [None, 0.5]
    """
    if not frame["candidate"].is_duplicated().any():
        return frame
    key = [name for name in ("candidate", "eval_protocol_id", "rl_recipe_id") if name in frame.columns]
    if target in frame.columns:
        has = pl.col(target).is_not_null()
        frame = frame.filter(has | ~has.any().over([name for name in key if name != "rl_recipe_id"]))
    others = [
        pl.col(name).mean() if name == target else pl.col(name).first() for name in frame.columns if name not in key
    ]
    rows = frame.group_by(key, maintain_order=True).agg(others).select(frame.columns)
    twice = rows["candidate"].is_duplicated()
    if twice.any():
        name = rows["candidate"].filter(twice)[0]
        differ = [column for column in key[1:] if rows.filter(pl.col("candidate") == name)[column].n_unique() > 1]
        raise CorpusError(
            f"candidate '{name}' is there with several values of {' and '.join(differ)}; to rank them side by side, "
            "give each its own name"
        )
    return rows


def farthest(frame: pl.DataFrame) -> pl.DataFrame:
    """Return one row a candidate, that of its run which was measured farthest: ``candidate``, ``post_curve``."""
    last = pl.col(CURVE).list.eval(pl.element().struct.field("step")).list.max().fill_null(-1)
    rows = frame.select("candidate", CURVE, last=last)
    return rows.sort("last", descending=True, maintain_order=True).unique("candidate", keep="first").drop("last")


def check_one_rl_recipe(frame: pl.DataFrame, target: str, *, allow_mixed: bool) -> None:
    """Raise IncomparableError if the known targets come from several RL recipes and that was not allowed."""
    if allow_mixed or target not in frame.columns or "rl_recipe_id" not in frame.columns:
        return
    recipes = frame.filter(pl.col(target).is_not_null())["rl_recipe_id"].unique().sort().to_list()
    if len(recipes) > 1:
        shown = ", ".join(recipe or "unknown" for recipe in recipes[:4])
        raise IncomparableError(
            f"column '{target}' comes from {len(recipes)} RL recipes ({shown}), whose scores are not comparable: rank "
            "them one by one, or pass allow_mixed_protocols=True"
        )


def with_truth(
    frame: pl.DataFrame,
    truth: Any,
    target: str,
    *,
    percent: bool = False,
    allow_mixed: bool,
    weights: Mapping[str, float] | None = None,
) -> tuple[pl.DataFrame, list[str]]:
    """Return the candidates with the target taken from another table, by name, weighted by benchmark as theirs is.

    Its headers are read as those of the candidates are; what was taken for what is returned too.

    Raises
    ------
    CorpusError
        If that table lacks the target or knows none of the candidates.
    IncomparableError
        If it was measured under another eval protocol, or mixes RL recipes, and that was not allowed.
    """
    label = str(truth) if isinstance(truth, str | Path) else "`truth`"

    def with_target(source: Any) -> pl.DataFrame:
        table = read_corpus(source, nested=bool(weights), allow_mixed_protocols=allow_mixed)
        if target not in table.columns:
            alias = " (or 'score_after_rl')" if target == "post_pass_at_1" else ""
            raise CorpusError(f"{label}: column '{target}' is missing{alias}; it has {', '.join(table.columns[:8])}")
        return table

    try:
        results, read = with_headers(with_target, truth, percent=percent, allow_mixed_protocols=allow_mixed)
    except HeadersError as error:  # `columns` speaks of the candidates
        raise CorpusError(error.reason) from None
    notes = [note.partition("; say otherwise")[0] for note in read.notes]
    results = weighted(results, weights, source="truth") if weights else results
    results = results.filter(pl.col(target).is_not_null() & pl.col("candidate").is_in(frame["candidate"].implode()))
    if results.is_empty():
        raise CorpusError(f"{label}: it gives '{target}' for none of the candidates; names must be equal")
    check_one_rl_recipe(results, target, allow_mixed=allow_mixed)
    protocols = [
        set(table.get_column("eval_protocol_id", default=pl.Series([None])).to_list()) for table in (frame, results)
    ]
    if not allow_mixed and None not in protocols[0] | protocols[1] and protocols[0] != protocols[1]:
        raise IncomparableError(
            f"{label}: eval protocol {', '.join(sorted(protocols[1]))}, but the candidates were measured under "
            f"{', '.join(sorted(protocols[0]))}; their scores are not comparable"
        )
    means = results.group_by("candidate").agg(pl.col(target).mean().alias("_truth"))
    known_target = pl.col(target) if target in frame.columns else pl.lit(None, pl.Float64)
    joined = frame.join(means, on="candidate", how="left", maintain_order="left")
    return joined.with_columns(pl.coalesce("_truth", known_target).alias(target)).drop("_truth"), notes


def outcome(
    frame: pl.DataFrame, score: pl.Series, rule: str, target: str, *, minimize: bool = False, knows_bases: bool = False
) -> Outcome | None:
    """Return what choosing by `score` (larger is better, null last) and by rules that cost nothing really gives.

    Only candidates whose target is known count, and to which `score` and post-SFT Pass@1 give a score: what one rule
    may not choose is no miss of it. None if there is none. A lower target is better if that is said; no rule costs
    nothing then. A `score` of a surrogate that knows the level of each base stands beside rules that know it too.
    """
    if target not in frame.columns or frame[target].null_count() == frame.height:
        return None
    rules = {rule: score}
    if SFT_SCORE in frame.columns and not minimize:
        rules[SFT_SCORE] = frame[SFT_SCORE]
    kept = frame[target].is_not_null()
    usable = [name for name, values in rules.items() if values.filter(kept).null_count() < int(kept.sum())]
    for name in usable:
        kept &= rules[name].is_not_null()
    if not kept.any():
        return None
    finished = frame.filter(kept)
    orders = {name: rules[name].filter(kept) for name in usable}
    if not minimize:
        orders |= {name: values for name, values in free_orders(finished).items() if name not in orders}
    if knows_bases and not minimize and finished["base_model"].n_unique() > 1:
        orders |= _with_levels(finished["base_model"], orders)
    sign = -1.0 if minimize else 1.0
    merit = sign * finished[target].cast(pl.Float64)
    names = finished["candidate"]
    best = pl.DataFrame({"merit": merit, "name": names}).sort(["merit", "name"], descending=[True, False]).row(0)
    within = _within(finished, merit, orders)
    choices = []
    for name, values in orders.items():
        table = pl.DataFrame({"candidate": names, "merit": merit, "score": values})
        first = table.filter(pl.col("score") == pl.col("score").max()).sort("candidate")
        reached = float(np.mean(first["merit"].to_numpy()))
        regret = max(best[0] - reached, 0.0)
        choice = Choice(
            name, first["candidate"][0], sign * reached, regret, _spearman(table), *within.get(name, _UNKNOWN)
        )
        choices.append(choice._replace(runs_to_best=_runs_to_best(table)))
    return Outcome(target, finished.height, best[1], sign * best[0], tuple(choices))


def _with_levels(bases: pl.Series, orders: dict[str, pl.Series]) -> dict[str, pl.Series]:
    """Return what free rules would say if they knew the levels of the bases as the surrogate does.

    The mean of the predictions of a base; and these, dealt to its candidates in the order of Pass@1, and of Pass@k:
    level and spread of every base stay, the order within it is that of the rule. Equal ones share.
    """
    score = next(iter(orders.values()))
    table = pl.DataFrame({"base": bases, "score": score}).with_columns(row=pl.int_range(pl.len()))
    orders_by_level = {"base mean": table.select(pl.col("score").mean().over("base")).to_series()}
    for name, values in orders.items():
        if pass_at(name):
            dealt = pl.col("score").sort().over("base", mapping_strategy="explode")
            by_rule = table.with_columns(by=values).sort("base", "by", maintain_order=True)
            shared = by_rule.with_columns(score=table.sort("base").select(dealt).to_series())
            shared = shared.with_columns(pl.col("score").mean().over("base", "by")).sort("row")
            orders_by_level[f"base and {column_of(name).heading}"] = shared["score"]
    return orders_by_level


def _within(finished: pl.DataFrame, merit: pl.Series, orders: dict[str, pl.Series]) -> dict[str, tuple[float, ...]]:
    """Return pairs, Spearman and regret within base models of each rule; nothing where no base has two candidates."""
    bases = (
        finished["base_model"].fill_null("").to_list() if "base_model" in finished.columns else [""] * finished.height
    )
    try:
        within = within_base(merit, {name: values.to_numpy() for name, values in orders.items()}, bases, draws=0)
    except InvalidDataError:
        return {}
    return {name: tuple(float(values[0]) for values in scores) for name, scores in within.items()}


def _spearman(table: pl.DataFrame) -> float:
    if table.height < 3 or table["merit"].n_unique() == 1 or table["score"].n_unique() == 1:
        return float("nan")
    ranks = table.select(pl.col("merit", "score").rank("average")).to_numpy()
    return float(np.corrcoef(ranks[:, 0], ranks[:, 1])[0, 1])


def _runs_to_best(table: pl.DataFrame) -> float:
    """Return how many are taken by `score` until one of the highest `merit` is among them; ties in random order."""
    best = table.filter(pl.col("merit") == pl.col("merit").max())["score"]
    reached = best.max()
    before = table.filter(pl.col("score") > reached).height
    tied = table.filter(pl.col("score") == reached).height
    # The first of m among t in random order stands at (t + 1) / (m + 1).
    return before + (tied + 1) / (int((best == reached).sum()) + 1)
