"""Make one row of the table from what the stages of a collection recorded."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from quagpredict.corpus.check import check_corpus
from quagpredict.errors import CorpusError
from quagpredict.plans.keys import unknown_key_message
from quagpredict.schema import CURVES, IDENTITY, MEASUREMENT, PROBLEMS, empty_frame

_STAGES = ("sft", "pre_evaluation", "rl", "post_evaluation")


def assemble_row(
    identity: Mapping[str, Any],
    pre: Mapping[str, Any],
    pre_problems: pl.DataFrame,
    post: Mapping[str, Any] | None = None,
    post_problems: pl.DataFrame | None = None,
    rl_curve: list[dict[str, Any]] | None = None,
    post_curve: list[dict[str, Any]] | None = None,
    costs: Mapping[str, float | None] | None = None,
) -> pl.DataFrame:
    """Return a table of one row with every column of the schema.

    Parameters
    ----------
    identity : mapping
        Identity columns by name; ``candidate`` at least. Absent ones are null.
    pre, post : mapping
        A *measurement* before and after RL: values by suffix, without the prefix ``pre_`` or ``post_``. None where RL
        has not run.
    pre_problems, post_problems : polars.DataFrame
        Counts of each problem, one row a problem: ``benchmark``, ``problem_id``, ``level``, ``n``, ``c`` and so on.
    rl_curve : list of dict
        The training log of GRPO, one record a logged step.
    post_curve : list of dict
        Measurements along RL, one record a measured step, by step.
    costs : mapping
        Seconds by stage: ``sft``, ``pre_evaluation``, ``rl``, ``post_evaluation``.

    Raises
    ------
    CorpusError
        If a key is unknown (the nearest valid one is suggested) or the row breaks the schema.

    Examples
    --------
    >>> import polars as pl
    >>> problems = pl.DataFrame({"benchmark": ["lab"], "problem_id": ["p1"], "n": [4], "c": [1]})
    >>> row = assemble_row({"candidate": "a"}, {"pass_at_1": 0.25}, problems)
    >>> row["pre_pass_at_1"].item(), row["post_pass_at_1"].item()
    (0.25, None)
    """
    source = f"candidate '{identity.get('candidate')}'"
    values = _known(identity, [column.name for column in IDENTITY], f"{source}: identity")
    for prefix, measurement in (("pre", pre), ("post", post or {})):
        measured = _known(measurement, MEASUREMENT, f"{source}: {prefix} measurement")
        values |= {f"{prefix}_{suffix}": value for suffix, value in measured.items()}
    values |= {f"cost_{stage}_s": value for stage, value in _known(costs or {}, _STAGES, f"{source}: costs").items()}
    columns = []
    for name, value in values.items():
        try:
            columns.append(pl.Series(name, [value], strict=True))
        except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
            raise CorpusError(f"{source}: column '{name}': {value!r:.60} cannot be stored") from None
    for name, problems in (("pre_problems", pre_problems), ("post_problems", post_problems)):
        if problems is not None:
            columns.append(pl.Series(name, [problems.to_struct()], None if problems.height else PROBLEMS))
    for name, records in (("rl_curve", rl_curve), ("post_curve", post_curve)):
        if records is not None:
            columns.append(_curve(name, records, source))
    row = check_corpus(pl.DataFrame(columns), source)
    whole = empty_frame()
    return pl.concat([whole, row], how="diagonal").select(whole.columns)


def _curve(name: str, records: list[dict[str, Any]], source: str) -> pl.Series:
    fields = CURVES[name]
    for record in records:
        _known(record, list(fields), f"{source}: {name}")
    try:
        curve = pl.DataFrame(records, schema=fields, strict=False).to_struct()
        return pl.Series(name, [curve], pl.List(pl.Struct(fields)))
    except (TypeError, pl.exceptions.PolarsError) as error:
        raise CorpusError(f"{source}: column '{name}' cannot be stored ({error})") from None


def _known(given: Mapping[str, Any], names: Any, what: str) -> dict[str, Any]:
    for key in given:
        if key not in names:
            raise CorpusError(unknown_key_message(what, key, names))
    return dict(given)
