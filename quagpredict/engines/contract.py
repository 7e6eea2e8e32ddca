"""What an engine does: draw samples and score given tokens. Numbers in, numbers out; no text, no grading."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from quagpredict.errors import RecipeError


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn; every setting is passed explicitly, none is left to a model's ``generation_config``.

    Parameters
    ----------
    max_new_tokens : int
        Budget of a response. A response that reaches it without an end token has finish reason ``length``.
    temperature : float
        Above 0: samples of one problem must be able to differ.
    top_p : float
        Nucleus: the smallest set of tokens with at least this probability. 1 keeps all.
    top_k : int
        Only the k likeliest tokens. 0 keeps all.
    """

    max_new_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise RecipeError(f"sampling: max_new_tokens must be at least 1, got {self.max_new_tokens}")
        if not self.temperature > 0:
            raise RecipeError(f"sampling: temperature must be above 0, got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise RecipeError(f"sampling: top_p must be above 0 and at most 1, got {self.top_p}")
        if self.top_k < 0:
            raise RecipeError(f"sampling: top_k must be 0 (all tokens) or more, got {self.top_k}")


class Request(NamedTuple):
    """Samples `first` to `first + samples - 1` (one at least) of a prompt; `key` names the problem and seeds them."""

    key: str
    prompt: tuple[int, ...]
    first: int
    samples: int


class Response(NamedTuple):
    """One drawn sample.

    ``tokens`` leaves out the end token; ``length`` counts it. Log-probability and entropy are sums over ``length``
    tokens, in nats, under the model itself, before temperature, top-p and top-k. The entropy is that of the whole
    vocabulary or None: an engine that sees a few of the likeliest tokens alone does not guess.
    """

    tokens: tuple[int, ...]
    length: int
    finish_reason: str
    log_prob_sum: float
    entropy_sum: float | None
    seed: int


class Engine(Protocol):
    """An engine serves one loaded checkpoint, until it is closed.

    ``name`` and ``version`` say what drew the samples. They are provenance and not part of the eval protocol: engines
    agree in distribution, not token by token.
    """

    name: str
    version: str
    end_tokens: list[int]

    def encode_prompt(self, prompt: str, system_prompt: str | None = None) -> tuple[int, ...]:
        """Return the prompt's tokens, through the chat template if the checkpoint has one, with one start token."""
        ...

    def encode_completion(self, completion: str) -> tuple[int, ...]:
        """Return the tokens of a whole response, its end token included."""
        ...

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of a response, without special tokens."""
        ...

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[tuple[int, list[Response]]]:
        """Yield (position of a request, its responses in sample order), each request once, in any order.

        A response depends on the checkpoint, the prompt, the sampling settings and its seed alone, up to rounding: not
        on the batch it was drawn in.
        """
        ...

    def completion_log_probs(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[NDArray[np.float64]]:
        """Return for each (prompt tokens, completion tokens) the log-probability of every completion token, in nats."""
        ...

    def close(self) -> None:
        """Free the weights and end what was started for them; a closed engine draws nothing more."""
        ...


# SplitMix64 (Steele, Lea and Flood, 2014, "Fast splittable pseudorandom number generators"): its step and its mixers.
GOLDEN = 0x9E3779B97F4A7C15
MIXERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_MASK = (1 << 64) - 1


def sample_seed(key: str, index: int) -> int:
    """Return the 64-bit seed of one sample of a problem.

    Parameters
    ----------
    key : str
        Names eval protocol and problem, so that the same index of another problem has another seed.
    index : int
        Index of the sample, from 0.

    Examples
    --------
    >>> sample_seed("protocol/problem", 0) == sample_seed("protocol/problem", 0)
    True
    >>> len({sample_seed("protocol/problem", index) for index in range(1000)})
    1000
    """
    start = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "little")
    state = (start + index * GOLDEN) & _MASK
    state = ((state ^ (state >> 30)) * MIXERS[0]) & _MASK
    state = ((state ^ (state >> 27)) * MIXERS[1]) & _MASK
    return state ^ (state >> 31)
