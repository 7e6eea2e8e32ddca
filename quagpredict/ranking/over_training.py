"""Candidates whose held-out loss says that SFT went on for too long."""

from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quagpredict.ranking.result import Flag

LOSS = "pre_held_out_loss_nats"
# Standard errors of their difference that two losses must be apart, and the least relative difference.
APART = 2.0
APART_SHARE = 0.02


def over_trained(frame: pl.DataFrame) -> Iterator[Flag]:
    """Yield candidates whose held-out loss another of the same base, data and learning rate beats with fewer epochs.

    The other saw no more examples (repeats counted, where the table says how many), so it is repetition that cost the
    loss, not lack of training. The difference must be over two standard errors of it, where these are known, and over
    2 per cent. Epochs count as different from two leading digits on.

    Parameters
    ----------
    frame : polars.DataFrame
        One row a candidate. Without ``base_model``, ``recipe_epochs`` and the held-out loss nothing is flagged.

    Examples
    --------
    >>> table = pl.DataFrame({"candidate": ["a", "b"], "base_model": ["x", "x"], "recipe_epochs": [1.0, 8.0],
    ...                       "recipe_examples_seen": [512, 512], "pre_held_out_loss_nats": [0.2, 0.3]})
    >>> [flag.detail for flag in over_trained(table)]
    ['0.300 nats after 8 epochs, 0.200 after 1']
    """
    needed = {LOSS, "recipe_epochs", "base_model"}
    if not needed <= set(frame.columns):
        return
    trained = frame.filter(
        pl.all_horizontal(pl.col(name).is_not_null() for name in needed), pl.col("recipe_epochs") > 0
    )
    # With another learning rate a higher loss may be one of too little training.
    keys = [name for name in ("base_model", "recipe_data_kind", "recipe_learning_rate") if name in frame.columns]
    for _, group in trained.group_by(keys, maintain_order=True):
        if group["recipe_epochs"].n_unique() < 2:
            continue
        loss, error = group[LOSS].to_numpy(), _filled(group, "pre_held_out_loss_se")
        epochs, best = group["recipe_epochs"].to_numpy(), _best_before(group)
        for row in np.flatnonzero(best >= 0):
            other = int(best[row])
            apart = max(APART * float(np.hypot(error[row], error[other])), APART_SHARE * float(loss[other]))
            if loss[row] - loss[other] > apart:
                detail = f"{loss[row]:.3f} nats after {epochs[row]:g} epochs, {loss[other]:.3f} after {epochs[other]:g}"
                yield Flag(group["candidate"][int(row)], "over-trained", detail)


def _best_before(group: pl.DataFrame) -> NDArray[np.int64]:
    """Return the row of lowest loss among those with fewer epochs and no more examples, for each row; -1 for none."""
    loss, seen = group[LOSS].to_numpy(), _filled(group, "recipe_examples_seen")
    levels = group["recipe_epochs"].round_sig_figs(2).to_numpy()
    order = np.argsort(seen, kind="stable")
    last = (
        np.searchsorted(seen[order], seen, side="right") - 1
    )  # the last, by examples seen, with no more than each row
    best = np.full(len(loss), -1)
    for level in np.unique(levels)[1:]:
        # By examples seen: the lowest loss so far among those with fewer epochs.
        lowest = np.where(levels[order] < level, loss[order], np.inf)
        so_far = np.minimum.accumulate(lowest)
        holder = np.maximum.accumulate(np.where(lowest <= so_far, np.arange(len(order)), 0))
        rows = np.flatnonzero(levels == level)
        rows = rows[np.isfinite(so_far[last[rows]])]
        best[rows] = order[holder[last[rows]]]
    return best


def _filled(group: pl.DataFrame, name: str) -> NDArray[np.float64]:
    """Return a column with 0 where it is not known."""
    values = (
        group[name].cast(pl.Float64).fill_null(0.0) if name in group.columns else pl.zeros(group.height, eager=True)
    )
    return values.to_numpy().astype(np.float64)
