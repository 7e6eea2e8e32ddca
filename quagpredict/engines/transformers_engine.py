"""The reference engine: plain transformers on any device, with a KV cache and a decode loop of its own.

The loop is ours because `generate` draws from one global random state, so that a sample would depend on its batch; and
because dropping finished rows from the cache saves much of the work when lengths differ.
"""

import gc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from transformers.utils import logging as transformers_logging

from quagpredict.engines.contract import Request, Response, Sampling, sample_seed, uniforms
from quagpredict.engines.loading import load_model
from quagpredict.engines.tokens import Tokens, closed

# Logits held at once while scoring; at 150,000 tokens of vocabulary this is some seven thousand positions.
_LOGITS = 2**30
# Positions whose logits are turned to log-probabilities at once, in single precision.
_CHUNK = 1024
# Rows are dropped from the cache once this share of them has finished; each drop copies the cache once.
_DROP_SHARE = 0.25


class TransformersEngine(Tokens):
    """A checkpoint loaded with transformers.

    Parameters
    ----------
    checkpoint : path
        Folder with ``config.json``, weights and tokenizer.
    batch_size : int
        Samples drawn side by side.
    device : str, optional
        Defaults to CUDA if there is one, else the CPU.
    dtype : str
        Weights are loaded as this; ``"auto"`` takes the checkpoint's own.

    Raises
    ------
    CheckpointError
        If the folder is not a whole, loadable checkpoint; see `quagpredict.engines.loading.load_model`.
    """

    name = "transformers"
    version = transformers.__version__

    def __init__(
        self, checkpoint: str | Path, *, batch_size: int = 256, device: str | None = None, dtype: str = "auto"
    ) -> None:
        super().__init__(checkpoint)
        transformers_logging.disable_progress_bar()
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.batch_size = batch_size
        self.model: Any = load_model(checkpoint, dtype=dtype).to(self.device).eval()

    def close(self) -> None:
        """Let go of the model; see `quagpredict.engines.contract.Engine`."""
        self.model = None
        if self.device.type == "cuda":
            gc.collect()
            torch.cuda.empty_cache()

    def _check_open(self) -> None:
        if self.model is None:
            raise closed()

    @torch.inference_mode()
    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[tuple[int, list[Response]]]:
        """Draw the samples of all requests; see `quagpredict.engines.contract.Engine`."""
        self._check_open()
        self.check_context(max((len(one.prompt) for one in requests), default=0) + sampling.max_new_tokens)
        # Prompts of one length need neither padding nor a mask; longest first, so that memory is short early.
        waiting: dict[int, list[Response]] = {}
        left = {position: request.samples for position, request in enumerate(requests)}
        for block in _blocks(requests, self.batch_size):
            for (position, _, count), drawn in zip(block, self._draw(requests, block, sampling), strict=True):
                waiting.setdefault(position, []).extend(drawn)
                left[position] -= count
                if left[position] == 0:
                    yield position, waiting.pop(position)

    def _draw(
        self, requests: Sequence[Request], block: list[tuple[int, int, int]], sampling: Sampling
    ) -> list[list[Response]]:
        counts = [count for _, _, count in block]
        seeds = np.array(
            [
                sample_seed(requests[position].key, index)
                for position, first, count in block
                for index in range(first, first + count)
            ],
            dtype=np.uint64,
        )
        prompts = torch.tensor([requests[position].prompt for position, _, _ in block], device=self.device)
        repeat = torch.repeat_interleave(
            torch.arange(len(block), device=self.device), torch.tensor(counts, device=self.device)
        )
        output = self.model(prompts, use_cache=True, logits_to_keep=1)
        cache = output.past_key_values
        cache.batch_select_indices(repeat)
        logits = output.logits[:, -1].float()[repeat]

        rows = len(seeds)
        budget = sampling.max_new_tokens
        ends = torch.tensor(self.end_tokens, device=self.device)
        tokens = torch.zeros((rows, budget), dtype=torch.long, device=self.device)
        lengths = torch.full((rows,), budget, device=self.device)
        finished = torch.zeros(rows, dtype=torch.bool, device=self.device)
        log_probs = torch.zeros(rows, dtype=torch.float64, device=self.device)
        entropies = torch.zeros(rows, dtype=torch.float64, device=self.device)
        alive = torch.arange(rows, device=self.device)  # rows still in the cache, some of them perhaps finished
        alive_seeds = seeds
        for position in range(budget):
            log_p = torch.log_softmax(logits, dim=-1)
            uniform = torch.from_numpy(uniforms(alive_seeds, position)).to(self.device)
            token = _choose(logits, uniform, sampling)
            running = ~finished[alive]
            active = alive[running]
            tokens[active, position] = token[running]
            log_probs[active] += log_p.gather(1, token[:, None])[running, 0].double()
            entropies[active] -= (log_p.exp() * log_p).nan_to_num(0.0).sum(-1)[running].double()
            ended = active[torch.isin(token[running], ends)]
            finished[ended] = True
            lengths[ended] = position + 1
            running = ~finished[alive]
            still = int(running.sum())
            if still == 0 or position + 1 == budget:
                break
            if still <= (1 - _DROP_SHARE) * len(alive):
                keep = running.nonzero()[:, 0]
                cache.batch_select_indices(keep)
                alive, token, alive_seeds = alive[keep], token[keep], alive_seeds[keep.cpu().numpy()]
            output = self.model(token[:, None], past_key_values=cache, use_cache=True)
            cache = output.past_key_values
            logits = output.logits[:, -1].float()
        return _responses(counts, tokens, lengths, finished, log_probs, entropies, seeds)

    @torch.inference_mode()
    def completion_log_probs(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[NDArray[np.float64]]:
        """Score given completions, unpacked; see `quagpredict.engines.contract.Engine`."""
        self._check_open()
        scored: list[NDArray[np.float64]] = [np.empty(0)] * len(pairs)
        order = sorted(range(len(pairs)), key=lambda index: -len(pairs[index][0]) - len(pairs[index][1]))
        vocabulary = self.model.get_output_embeddings().weight.shape[0]
        start = 0
        while start < len(order):
            longest = len(pairs[order[start]][0]) + len(pairs[order[start]][1])
            self.check_context(longest)
            rows = max(1, min(self.batch_size, _LOGITS // (longest * vocabulary)))
            batch = order[start : start + rows]
            start += rows
            # Padding stands on the right, where no real token of a causal model can see it: no mask is needed.
            tokens = torch.full((len(batch), longest), self.end_tokens[0], device=self.device)
            for row, index in enumerate(batch):
                whole = [*pairs[index][0], *pairs[index][1]]
                tokens[row, : len(whole)] = torch.tensor(whole, device=self.device)
            logits = self.model(tokens, use_cache=False).logits
            for row, index in enumerate(batch):
                prompt, completion = pairs[index]
                span = slice(len(prompt) - 1, len(prompt) + len(completion) - 1)
                target = tokens[row, len(prompt) : len(prompt) + len(completion)]
                losses = [
                    torch.nn.functional.cross_entropy(chunk.float(), wanted, reduction="none")
                    for chunk, wanted in zip(logits[row, span].split(_CHUNK), target.split(_CHUNK), strict=True)
                ]
                scored[index] = -torch.cat(losses).double().cpu().numpy()
        return scored


def _blocks(requests: Sequence[Request], rows: int) -> Iterator[list[tuple[int, int, int]]]:
    """Yield blocks of (request position, first sample, samples) of one prompt length, at most `rows` samples each."""
    order = sorted(range(len(requests)), key=lambda position: (-len(requests[position].prompt), position))
    block: list[tuple[int, int, int]] = []
    room, length = rows, -1
    for position in order:
        request = requests[position]
        first, left = request.first, request.samples
        if len(request.prompt) != length and block:
            yield block
            block, room = [], rows
        length = len(request.prompt)
        while left:
            taken = min(left, room)
            block.append((position, first, taken))
            first, left, room = first + taken, left - taken, room - taken
            if room == 0:
                yield block
                block, room = [], rows
    if block:
        yield block


def _choose(logits: torch.Tensor, uniform: torch.Tensor, sampling: Sampling) -> torch.Tensor:
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


def _responses(
    counts: list[int],
    tokens: torch.Tensor,
    lengths: torch.Tensor,
    finished: torch.Tensor,
    log_probs: torch.Tensor,
    entropies: torch.Tensor,
    seeds: NDArray[np.uint64],
) -> list[list[Response]]:
    rows = zip(
        tokens.tolist(),
        lengths.tolist(),
        finished.tolist(),
        log_probs.tolist(),
        entropies.tolist(),
        seeds.tolist(),
        strict=True,
    )
    flat = [
        Response(
            tuple(row[: length - 1] if ended else row[:length]),
            length,
            "stop" if ended else "length",
            log_prob,
            entropy,
            seed,
        )
        for row, length, ended, log_prob, entropy, seed in rows
    ]
    grouped = []
    start = 0
    for count in counts:
        grouped.append(flat[start : start + count])
        start += count
    return grouped
