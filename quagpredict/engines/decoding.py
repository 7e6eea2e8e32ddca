"""A decode loop: prompts in, the logits of the next token out; the random numbers, and the token each of them picks.

Two classes of one shape: `GrowingRows` keeps a cache that grows by a token a step and gives up rows that have ended;
`FixedRows` keeps every shape fixed, so that a GPU can replay one captured graph. Prompts of different lengths are
padded on the left, under a mask and with position numbers of their own.
"""

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache, StaticCache
from transformers.cache_utils import DynamicLayer

from quagpredict.engines.contract import GOLDEN, MIXERS, Sampling

# Slots of a fixed cache are a power of two and at least this many, so that few graphs serve all blocks.
_FEWEST_SLOTS = 16
_MASK = (1 << 64) - 1


class GrowingRows:
    """Rows over a cache that grows, as transformers makes it by default.

    Parameters
    ----------
    prompts : sequence of token tuples
        Each is run once.
    repeat : tensor of int64, shape (rows,)
        The prompt of each row.

    Attributes
    ----------
    logits : tensor of float32, shape (rows, vocabulary)
        Of the next token.
    """

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]], repeat: torch.Tensor) -> None:
        self._model = model
        self._positions = takes_positions(model)
        tokens, mask = padded(prompts, repeat.device)
        placed = {} if mask is None else self._placed(mask, (mask.cumsum(-1) - 1).clamp(min=0))
        output = model(tokens, use_cache=True, logits_to_keep=1, **placed)
        self.cache: Any = output.past_key_values
        self.cache.batch_select_indices(repeat)
        self.logits: torch.Tensor = output.logits[:, -1].float()[repeat]
        self.mask = None if mask is None else mask[repeat]
        self._next = None if mask is None else mask.sum(-1, keepdim=True)[repeat]

    def step(self, token: torch.Tensor) -> None:
        """Run one token of each row."""
        placed = {}
        if self.mask is not None and self._next is not None:
            self.mask = torch.nn.functional.pad(self.mask, (0, 1), value=1)
            placed = self._placed(self.mask, self._next)
            self._next = self._next + 1
        output = self._model(token[:, None], past_key_values=self.cache, use_cache=True, **placed)
        self.cache = output.past_key_values
        self.logits = output.logits[:, -1].float()

    def keep(self, rows: torch.Tensor) -> torch.Tensor:
        """Give up all rows but these, and return them."""
        self.cache.batch_select_indices(rows)
        if self.mask is not None and self._next is not None:
            self.mask, self._next = self.mask[rows], self._next[rows]
        return rows

    def _placed(self, mask: torch.Tensor, positions: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"attention_mask": mask} | ({"position_ids": positions} if self._positions else {})


class FixedRows:
    """Rows over a cache of fixed size, for a model whose layers all attend to everything.

    Parameters
    ----------
    prompts, repeat
        As for `GrowingRows`.
    length : int
        Tokens that prompt and response take at most.
    caches : dict
        Caches by slots, of this length: they are used again, since a graph is bound to their memory.
    graphs : bool
        Whether steps are compiled into CUDA graphs, one for each number of slots.

    Attributes
    ----------
    logits : tensor of float32, shape (slots, vocabulary)
        Slots beyond the rows repeat the last row; what comes of them is to be ignored.
    """

    def __init__(
        self,
        model: Any,
        prompts: Sequence[Sequence[int]],
        repeat: torch.Tensor,
        length: int,
        caches: dict[int, StaticCache],
        *,
        graphs: bool,
    ) -> None:
        self._model, self._length, self._caches = model, length, caches
        self._positions = takes_positions(model)
        self._call = model.get_compiled_call(None) if graphs else model
        grown = GrowingRows(model, prompts, torch.arange(len(prompts), device=repeat.device))
        width = max(len(prompt) for prompt in prompts)
        filled = _with_spare(repeat)
        seen = torch.tensor([len(prompt) for prompt in prompts], device=repeat.device)
        self._next = seen[filled][:, None]
        columns = torch.arange(length, device=repeat.device)
        self.mask = (columns >= width - self._next).long()
        self.logits = grown.logits[filled]
        self._take([(layer.keys[filled], layer.values[filled]) for layer in grown.cache.layers], width)

    def step(self, token: torch.Tensor) -> None:
        """Run one token of each slot."""
        placed = {"attention_mask": self.mask} | ({"position_ids": self._next} if self._positions else {})
        output = self._call(token[:, None], past_key_values=self.cache, use_cache=True, **placed)
        self._next = self._next + 1
        self._used += 1
        # A copy: a graph writes its next output to the same memory.
        self.logits = output.logits[:, -1].to(torch.float32, copy=True)

    def keep(self, rows: torch.Tensor) -> torch.Tensor | None:
        """Move these rows to fewer slots and return which slot each was in; None if as many are needed."""
        filled = _with_spare(rows)
        if len(filled) >= len(self.logits):
            return None
        self.mask, self._next, self.logits = self.mask[filled], self._next[filled], self.logits[filled]
        self._take([(layer.keys[filled], layer.values[filled]) for layer in self.cache.layers], self._used)
        return filled

    def _take(self, states: list[tuple[torch.Tensor, torch.Tensor]], used: int) -> None:
        slots = len(states[0][0])
        if slots not in self._caches:
            self._caches[slots] = StaticCache(config=self._model.config, max_cache_len=self._length)
        self.cache: Any = self._caches[slots]
        self.cache.reset()
        for layer, (keys, values) in enumerate(states):
            self.cache.update(keys[:, :, :used], values[:, :, :used], layer)
        self._used = used


def can_be_fixed(model: Any) -> bool:
    """Whether transformers compiles this model's steps, and each of its layers attends to all tokens."""
    layers = DynamicCache(config=model.config).layers
    return bool(getattr(model, "_can_compile_fullgraph", False)) and all(
        type(layer) is DynamicLayer for layer in layers
    )


def pads_well(model: Any, short: Sequence[int], long: Sequence[int], tolerance: float) -> bool:
    """Whether padding changes nothing: the next two tokens of `short` are as likely beside `long` as alone.

    A model that takes no heed of mask or positions gives other numbers, and no error.

    Parameters
    ----------
    short, long : sequence of int
        Prompts of different lengths.
    tolerance : float
        Of the total variation distance between the two distributions.
    """
    first = torch.zeros(1, dtype=torch.long, device=model.device)
    alone = GrowingRows(model, [short], first)
    beside = GrowingRows(model, [short, long], torch.arange(2, device=model.device))
    for last in (False, True):
        gap = (alone.logits[0].softmax(-1) - beside.logits[0].softmax(-1)).abs().sum() / 2
        if not float(gap) <= tolerance:  # a NaN is no agreement
            return False
        if not last:
            likeliest = alone.logits.argmax(-1)
            alone.step(likeliest)
            beside.step(likeliest.repeat(2))
    return True


def padded(prompts: Sequence[Sequence[int]], device: torch.device | str) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return prompts as one tensor, padded on the left, and the mask of what is real; None if all have one length."""
    width = max(len(prompt) for prompt in prompts)
    if all(len(prompt) == width for prompt in prompts):
        return torch.tensor(prompts, device=device), None
    tokens = torch.tensor([[0] * (width - len(prompt)) + list(prompt) for prompt in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device)
    return tokens, mask


def takes_positions(model: Any) -> bool:
    """Whether a model is told its tokens' positions; others count them from the mask."""
    return "position_ids" in inspect.signature(model.forward).parameters


def _with_spare(rows: torch.Tensor) -> torch.Tensor:
    slots = max(_FEWEST_SLOTS, 1 << (len(rows) - 1).bit_length())
    return torch.cat([rows, rows[-1:].expand(slots - len(rows))])


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


def _signed(bits: int) -> int:
    return bits - (1 << 64) if bits >> 63 else bits


def _shifted(state: torch.Tensor, bits: int) -> torch.Tensor:
    # torch's >> keeps the sign of a signed number; SplitMix64 shifts zeros in.
    return (state >> bits) & ((1 << (64 - bits)) - 1)
