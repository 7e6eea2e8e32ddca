"""Held-out loss: nats per token and bits per byte with a standard error over examples."""

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quagpredict.errors import InvalidDataError
from quagpredict.metrics.uncertainty import cluster_sums, ratio_standard_error


@dataclass(frozen=True)
class HeldOutLoss:
    """The loss of a model on held-out completions."""

    nats_per_token: float  #: Sum of negative log-likelihoods over the count of supervised tokens.
    standard_error: float  #: Of `nats_per_token`, over examples (clusters); NaN with fewer than two.
    #: The same sum in bits, over the UTF-8 bytes of the supervised text: comparable across tokenizers. None if no
    #: bytes were given.
    bits_per_byte: float | None
    #: `examples` and `tokens`: How many examples had a supervised token, and how many such tokens there were.
    examples: int
    tokens: int


def token_weighted_loss(
    nll_sum: ArrayLike,
    tokens: ArrayLike,
    bytes: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
) -> HeldOutLoss:
    """Return the token-weighted loss from sums over each example.

    Every token counts the same, whatever example it is in: the mean of per-example means would weigh short examples
    more. The standard error is that of a ratio estimator over examples.

    Parameters
    ----------
    nll_sum : array_like, shape (examples,)
        Sum of -log p in nats over the supervised (completion) tokens of each example.
    tokens : array_like of int, shape (examples,)
        Supervised tokens of each example; 0 where truncation left none (its nll_sum must then be 0).
    bytes : array_like of int, shape (examples,), optional
        UTF-8 bytes of the same supervised text.
    clusters : array_like, shape (examples,), optional
        Label of each example's cluster, e.g. its problem when a problem has several reference solutions.

    Raises
    ------
    InvalidDataError
        If nothing is supervised, or a sum is NaN, infinite or negative, or shapes differ (the position is named).

    Examples
    --------
    >>> loss = token_weighted_loss([2.0, 1.0], [4, 2], bytes=[8, 4])
    >>> loss.nats_per_token, loss.standard_error, round(loss.bits_per_byte, 6)
    (0.5, 0.0, 0.360674)
    """
    nll = _sums(nll_sum, "nll_sum")
    counts = _sums(tokens, "tokens", size=nll.size)
    if counts.sum() == 0:
        raise InvalidDataError(
            f"no token of the {nll.size} held-out examples is supervised: give completions, or a larger max_length"
        )
    _refuse((counts == 0) & (nll != 0), nll, "nll_sum", "0 where no token is supervised")
    top, bottom = cluster_sums(nll[:, None], clusters), cluster_sums(counts[:, None], clusters)
    bits_per_byte = None
    if bytes is not None:
        sizes = _sums(bytes, "bytes", size=nll.size)
        _refuse((sizes == 0) & (nll != 0), sizes, "bytes", "positive where tokens are supervised")
        if sizes.sum() == 0:
            raise InvalidDataError("bytes are all 0: give the UTF-8 bytes of the supervised text")
        bits_per_byte = float(nll.sum() / log(2) / sizes.sum())
    return HeldOutLoss(
        nats_per_token=float(nll.sum() / counts.sum()),
        standard_error=float(ratio_standard_error(top, bottom)[0]),
        bits_per_byte=bits_per_byte,
        examples=int(np.count_nonzero(counts)),
        tokens=int(counts.sum()),
    )


def _sums(values: ArrayLike, name: str, size: int | None = None) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64).reshape(-1)
    if size is not None and array.size != size:
        raise InvalidDataError(f"{name} must hold one number for each of the {size} examples, got {array.size}")
    _refuse(~(np.isfinite(array) & (array >= 0)), array, name, "a finite number of at least 0")
    return array


def _refuse(wrong: NDArray[np.bool_], values: NDArray[np.float64], name: str, expected: str) -> None:
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise InvalidDataError(f"{name} at position {at} must be {expected}, got {values[at]:g}")
