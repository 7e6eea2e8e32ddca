"""What RL really gave: joined to candidates, and what each way of choosing would have cost."""

from typing import Any

import numpy as np
import polars as pl

from quagpredict.corpus import read_corpus
from quagpredict.errors import CorpusError, IncomparableError
from quagpredict.ranking.result import Choice, Outcome

SFT_SCORE = "pre_pass_at_1"


def one_row_each(frame: pl.DataFrame, target: str) -> pl.DataFrame:
    """Return one row a candidate, with the target's mean over its RL seeds; the order is kept.

    A candidate that is there twice, with its result and as it was before RL, is kept with its result.

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


def with_truth(frame: pl.DataFrame, truth: Any, target: str, *, allow_mixed: bool) -> pl.DataFrame:
    """Return the candidates with the target taken from another table, by name.

    Raises
    ------
    CorpusError
        If that table lacks the target or knows none of the candidates.
    IncomparableError
        If it was measured under another eval protocol, or mixes RL recipes, and that was not allowed.
    """
    known = read_corpus(truth, nested=False, allow_mixed_protocols=allow_mixed)
    if target not in known.columns:
        raise CorpusError(f"`truth`: column '{target}' is missing")
    known = known.filter(pl.col(target).is_not_null() & pl.col("candidate").is_in(frame["candidate"].implode()))
    if known.is_empty():
        raise CorpusError(f"`truth`: it gives '{target}' for none of the candidates; names must be equal")
    check_one_rl_recipe(known, target, allow_mixed=allow_mixed)
    protocols = [
        set(table.get_column("eval_protocol_id", default=pl.Series([None])).to_list()) for table in (frame, known)
    ]
    if not allow_mixed and None not in protocols[0] | protocols[1] and protocols[0] != protocols[1]:
        raise IncomparableError(
            f"`truth`: eval protocol {', '.join(sorted(protocols[1]))}, but the candidates were measured under "
            f"{', '.join(sorted(protocols[0]))}; their scores are not comparable"
        )
    means = known.group_by("candidate").agg(pl.col(target).mean().alias("_truth"))
    own = pl.col(target) if target in frame.columns else pl.lit(None, pl.Float64)
    joined = frame.join(means, on="candidate", how="left", maintain_order="left")
    return joined.with_columns(pl.coalesce("_truth", own).alias(target)).drop("_truth")


def outcome(
    frame: pl.DataFrame, score: pl.Series, rule: str, target: str, *, lower_is_better: bool = False
) -> Outcome | None:
    """Return what choosing by `score` (larger is better, null last) and by post-SFT Pass@1 really gives.

    Only candidates whose target is known count, and to which every rule gives a score: what one rule may not choose is
    no miss of it. None if there is none. A lower target is better if that is said.
    """
    if target not in frame.columns or frame[target].null_count() == frame.height:
        return None
    rules = [(rule, score)]
    if SFT_SCORE in frame.columns and not lower_is_better:
        rules.append((SFT_SCORE, frame[SFT_SCORE]))
    sign = -1.0 if lower_is_better else 1.0
    merit = (sign * pl.col(target)).alias("merit")
    scores = [values.alias(f"score {place}") for place, (_, values) in enumerate(rules)]
    table = frame.select("candidate", merit, *scores).filter(pl.col("merit").is_not_null())
    usable = [place for place in range(len(rules)) if table[f"score {place}"].null_count() < table.height]
    known = table.drop_nulls([f"score {place}" for place in usable])
    if known.is_empty():
        return None
    best = known.sort(["merit", "candidate"], descending=[True, False]).row(0, named=True)
    choices = []
    for place in usable:
        name = rules[place][0]
        table = known.select("candidate", "merit", score=f"score {place}")
        first = table.filter(pl.col("score") == pl.col("score").max()).sort("candidate")
        reached = float(np.mean(first["merit"].to_numpy()))
        regret = max(best["merit"] - reached, 0.0)
        choices.append(Choice(name, first["candidate"][0], sign * reached, regret, _spearman(table)))
    return Outcome(target, known.height, best["candidate"], sign * best["merit"], tuple(choices))


def _spearman(table: pl.DataFrame) -> float:
    if table.height < 3 or table["merit"].n_unique() == 1 or table["score"].n_unique() == 1:
        return float("nan")
    ranks = table.select(pl.col("merit", "score").rank("average")).to_numpy()
    return float(np.corrcoef(ranks[:, 0], ranks[:, 1])[0, 1])
