"""Rank without a surrogate: the paper's screening. It predicts no score."""

from typing import NamedTuple

import polars as pl

from quagpredict.corpus.columns import pass_at, pass_at_columns
from quagpredict.corpus.foreign import near_names
from quagpredict.errors import CorpusError

LOSS, ACCURACY = "pre_held_out_loss_nats", "pre_pass_at_1"


class Screening(NamedTuple):
    """The order that screening gives.

    Attributes
    ----------
    used : tuple of str
        Columns that it rests on; the one that orders comes first.
    key : polars.Series
        Larger is better, null where not measured; shape (n,).
    screened_out : polars.Series
        Whether the candidate was dropped to the end; booleans, shape (n,).
    notes : tuple of str
    """

    used: tuple[str, ...]
    key: pl.Series
    screened_out: pl.Series
    notes: tuple[str, ...]


def screen(frame: pl.DataFrame) -> Screening:
    """Drop candidates of low accuracy and high loss, then order by Pass@k at the largest common k.

    A candidate is dropped if, within its base model, its Pass@1 is below the median and its held-out loss above it.
    The largest common k is the largest that every candidate with any Pass@k has; where others have a larger one, a note
    names who lacks it.

    Parameters
    ----------
    frame : polars.DataFrame
        One row a candidate, with at least one of Pass@k and the held-out loss before RL.

    Raises
    ------
    CorpusError
        If there is nothing to order by.

    References
    ----------
    Kang et al., "Quagmires in SFT-RL Post-Training", arXiv 2510.01624: held-out loss and Pass@large-k in place of the
    SFT score.

    Examples
    --------
    >>> import polars as pl
    >>> table = pl.DataFrame({"candidate": ["a", "b"], "pre_pass_at_1": [0.5, 0.4], "pre_pass_at_64": [0.7, 0.8]})
    >>> screen(table).used, screen(table).key.to_list()
    (('pre_pass_at_64',), [0.7, 0.8])
    """
    notes = []
    measured = {name for name in frame.columns if frame[name].null_count() < frame.height}
    curve = pass_at_columns(frame)
    has_loss = LOSS in measured
    near = near_names(frame.columns)
    unknown = ", ".join(f"'{name}' (did you mean '{meant}'?)" for name, meant in near.items())
    screened_out = pl.repeat(False, frame.height, eager=True).alias("screened_out")
    if not curve and not has_loss:
        raise CorpusError(
            f"there is nothing to rank by among the columns {', '.join(frame.columns[:8])}"
            + (", ..." if frame.width > 8 else "")
            + f": measure pre_pass_at_K (K large, e.g. pre_pass_at_64) or {LOSS}, or name a surrogate that uses other "
            "columns" + (f"; not known is {unknown}" if near else "")
        )
    if near:
        notes.append(f"not used, since such a column is not known: {unknown}")
    if "base_model" not in frame.columns:
        notes.append("base_model is not given: all candidates are taken as of one base model")
    if not curve:
        notes.append("Pass@k was not measured: ordered by the held-out loss, which compares only within a base model")
        return Screening((LOSS,), -frame[LOSS], screened_out, tuple(notes))
    with_any = frame.filter(pl.any_horizontal(pl.col(name).is_not_null() for name in curve))
    common = [name for name in curve if with_any[name].null_count() == 0]
    coverage = common[-1] if common else curve[0]
    if common and coverage != curve[-1]:
        lacking = with_any.filter(pl.col(curve[-1]).is_null())["candidate"].to_list()
        named = ", ".join(f"'{name}'" for name in lacking[:3])
        named += f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
        notes.append(
            f"ordered by Pass@{pass_at(coverage)} because {named} lack Pass@{pass_at(curve[-1])}, which "
            f"{with_any.height - len(lacking)} of {with_any.height} candidates have: rank without them, or draw more "
            "samples for them"
        )
    if coverage == ACCURACY:
        notes.append("Pass@1 is all that is common to the candidates, and choosing by it misleads: measure a larger k")
    used = [coverage]
    if has_loss and ACCURACY in measured:
        base = pl.col("base_model") if "base_model" in frame.columns else pl.lit("")
        low_accuracy = pl.col(ACCURACY) < pl.col(ACCURACY).median().over(base)
        high_loss = pl.col(LOSS) > pl.col(LOSS).median().over(base)
        screened_out = frame.select((low_accuracy & high_loss).fill_null(False).alias("screened_out")).to_series()
        used += [name for name in (ACCURACY, LOSS) if name not in used]
    else:
        absent = "Pass@1" if has_loss else "the held-out loss"
        notes.append(f"{absent} was not measured: no candidate was screened out")
    return Screening(tuple(used), frame[coverage], screened_out, tuple(notes))
