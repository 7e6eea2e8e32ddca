"""R² over groups that were left out: their median, and pooled. Their mean is decided by the group that varies least."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from quagpredict.validation.judging import Arrangement, Judged

Floats = NDArray[np.float64]

_DRAWS = 1000
#: Fewer groups are too few to draw from.
_FEWEST = 5


def r2_over_groups(
    judged: Mapping[str, Judged], arrangement: Arrangement, y: Floats, features: Mapping[str, str], seed: int = 0
) -> Iterator[dict[str, object]]:
    """Yield a line for the median and one for the pooled R² of each model that predicts values.

    Parameters
    ----------
    judged : mapping
        Scores of each model; a repeat is a group.
    arrangement : Arrangement
    y : array (n,)
    features : mapping
        Model -> what it reads, to be told beside it.
    seed : int

    Notes
    -----
    Pooled is 1 less the squared misses of all groups over their squared deviations, each from its own group's mean: a
    group counts by how much its targets vary. The 90 % intervals draw groups with replacement; of fewer than five
    groups there is none.
    """
    # In the order of the scores: repeats with equally many rows stand together.
    tables = [y[block.rows] for block in arrangement.blocks]
    varied = np.concatenate([((own - own.mean(axis=1, keepdims=True)) ** 2).sum(axis=1) for own in tables])
    for name, own in judged.items():
        r2 = own.repeats.get("r2")
        if r2 is None or not (finite := np.isfinite(r2)).any():
            continue
        score, weight = r2[finite], varied[finite]
        missed, count = (1.0 - score) * weight, len(score)
        drawn = np.random.default_rng(seed).integers(0, count, (_DRAWS, count))
        rows = np.vstack([np.arange(count), drawn])
        pooled = 1.0 - missed[rows].sum(axis=1) / weight[rows].sum(axis=1)
        for metric, values in (("r2_median", np.median(score[rows], axis=1)), ("r2_pooled", pooled)):
            low, high = np.quantile(values[1:], (0.05, 0.95)).tolist() if count >= _FEWEST else (None, None)
            line = {"mean": float(values[0]), "low": low, "high": high, "repeats": count}
            yield {"model": name, "features": features[name], "metric": metric} | line
