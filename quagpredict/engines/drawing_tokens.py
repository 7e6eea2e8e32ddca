"""The random numbers of the transformers engine, and the token that each of them picks. All of it on the device."""

import torch

from quagpredict.engines.contract import GOLDEN, MIXERS, Sampling


def uniforms(seeds: torch.Tensor, position: int) -> torch.Tensor:
    """Return a uniform number in [0, 1) for token `position` of every sample: a pure function of seed and position.

    It is output number `position` of SplitMix64 (Steele, Lea and Flood, 2014), whose upper 53 bits make the number.
    Whole numbers of 64 bits wrap around alike on every device: the numbers are the same to the last bit.

    Parameters
    ----------
    seeds : tensor of int64, shape (n,)
        Bit patterns of the 64-bit seeds; see `as_bits`.
    position : int
        From 0.

    Returns
    -------
    tensor of float64, shape (n,)

    Examples
    --------
    >>> uniforms(as_bits([1234567]), 0).item() == (6457827717110365317 >> 11) * 2.0**-53  # the published first output
    True
    """
    state = seeds + _signed(((position + 1) * GOLDEN) & _MASK)
    state = (state ^ _shifted(state, 30)) * _signed(MIXERS[0])
    state = (state ^ _shifted(state, 27)) * _signed(MIXERS[1])
    return _shifted(state ^ _shifted(state, 31), 11).double() * 2.0**-53


def as_bits(seeds: list[int], device: torch.device | str = "cpu") -> torch.Tensor:
    """Return unsigned 64-bit seeds as signed numbers with the same bits, the only ones that torch computes with."""
    return torch.tensor([_signed(seed) for seed in seeds], dtype=torch.int64, device=device)


def choose_tokens(logits: torch.Tensor, uniform: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """Draw a token a row: logits (rows, vocabulary) to probabilities, whose cumulative sum is inverted at `uniform`."""
    scaled = logits / sampling.temperature
    if sampling.top_k and sampling.top_k < scaled.size(-1):
        smallest = scaled.topk(sampling.top_k, dim=-1).values[:, -1:]
        scaled = scaled.masked_fill(scaled < smallest, -torch.inf)
    if sampling.top_p < 1:
        ordered, index = scaled.sort(dim=-1, descending=True)
        before = ordered.softmax(-1).cumsum(-1) - ordered.softmax(-1)
        scaled = torch.full_like(scaled, -torch.inf).scatter(
            1, index, ordered.masked_fill(before >= sampling.top_p, -torch.inf)
        )
    cumulative = scaled.double().softmax(-1).cumsum(-1)
    # The total is 1 up to rounding; scaled by it, a uniform below 1 always falls on a token with probability.
    threshold = (uniform * cumulative[:, -1])[:, None]
    return torch.searchsorted(cumulative, threshold, right=True)[:, 0].clamp(max=logits.size(-1) - 1)


_MASK = (1 << 64) - 1


def _signed(bits: int) -> int:
    return bits - (1 << 64) if bits >> 63 else bits


def _shifted(state: torch.Tensor, bits: int) -> torch.Tensor:
    # torch's >> keeps the sign of a signed number; SplitMix64 shifts zeros in.
    return (state >> bits) & ((1 << (64 - bits)) - 1)
