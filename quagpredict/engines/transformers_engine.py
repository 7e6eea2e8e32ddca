"""The reference engine: plain transformers on any device, with a decode loop of its own.

The loop is ours because `generate` draws from one global random state, so that a sample would depend on its batch; and
because dropping finished rows from the cache saves much of the work when lengths differ.
"""

import gc
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from transformers.utils import logging as transformers_logging

from quagpredict.engines.blocks import Block, plan_blocks
from quagpredict.engines.contract import Request, Response, Sampling, sample_seed
from quagpredict.engines.decoding import (
    FixedRows,
    GrowingRows,
    as_bits,
    can_be_fixed,
    choose_tokens,
    pads_well,
    uniforms,
)
from quagpredict.engines.loading import load_model
from quagpredict.engines.memory import fast_half_precision, most_rows, rows_that_fit
from quagpredict.engines.tokens import Tokens, closed
from quagpredict.errors import one_line

# Logits held at once while scoring; at 150,000 tokens of vocabulary this is some seven thousand positions.
_LOGITS = 2**30
# Positions whose logits are turned to log-probabilities at once, in single precision.
_CHUNK = 1024
# Rows are dropped from the cache once this share of them has finished; each drop copies the cache once.
_DROP_SHARE = 0.25
# Tokens between two looks at what has finished: a GPU would have to be waited for.
_LOOK_EVERY, _LOOK_EVERY_ON_CPU = 16, 1
# Padding is right if it moves a next token's distribution by no more than rounding (total variation).
_PADDING_TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-3}
_PADDING_TOLERANCE_OF_HALF = 0.05
# Lengths of a fixed cache are rounded up to a multiple of this, so that calls can share it.
_LENGTH_STEP = 64

_log = logging.getLogger(__name__)


class TransformersEngine(Tokens):
    """A checkpoint loaded with transformers.

    Parameters
    ----------
    checkpoint : path
        Folder with ``config.json``, weights and tokenizer.
    batch_size : int, optional
        Samples drawn side by side. By default what a part of the free memory holds, at most 256 on a CPU and 1,024
        elsewhere.
    device : str, optional
        Defaults to CUDA if there is one, else the CPU.
    dtype : str
        Weights are loaded as this; ``"auto"`` takes the checkpoint's own, but single precision where it is a half
        precision that this CPU would have to emulate.
    fixed_cache : bool, optional
        Whether caches have fixed shapes, and on CUDA each step replays a captured graph. By default on CUDA, for models
        that transformers can compile. A matter of speed.

    Raises
    ------
    CheckpointError
        If the folder is not a whole, loadable checkpoint; see `quagpredict.engines.loading.load_model`.

    Notes
    -----
    Where few samples of many prompts are asked for, prompts of different lengths share a batch, padded on the left. A
    model whose next token changes with the padding (it takes no heed of the mask) is drawn in batches of one length.
    """

    name = "transformers"
    version = transformers.__version__

    def __init__(
        self,
        checkpoint: str | Path,
        *,
        batch_size: int | None = None,
        device: str | None = None,
        dtype: str = "auto",
        fixed_cache: bool | None = None,
    ) -> None:
        super().__init__(checkpoint)
        transformers_logging.disable_progress_bar()
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.batch_size = batch_size
        model: Any = load_model(checkpoint, dtype=dtype)
        emulated = model.dtype.itemsize < 4 and not fast_half_precision(self.device, model.dtype)
        if dtype == "auto" and emulated:
            model = model.float()
        self.model: Any = model.to(self.device).eval()
        on_cuda = self.device.type == "cuda"
        self._fixed = can_be_fixed(model) if (on_cuda if fixed_cache is None else fixed_cache) else False
        self._graphs = on_cuda
        self._caches: dict[int, Any] = {}
        self._mixes: bool | None = None  # unknown until prompts of different lengths come

    def close(self) -> None:
        """Let go of the model; see `quagpredict.engines.contract.Engine`."""
        self.model = None
        self._caches = {}
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
        tokens = max((len(request.prompt) for request in requests), default=0) + sampling.max_new_tokens
        self.check_context(tokens)
        self._caches = {}
        length = -(-tokens // _LENGTH_STEP) * _LENGTH_STEP
        drawn: dict[int, dict[int, list[Response]]] = {}
        left = {position: request.samples for position, request in enumerate(requests)}
        for block in self._blocks(requests, self._rows(tokens)):
            for span, responses in zip(block, self._drawn(requests, block, sampling, length), strict=True):
                drawn.setdefault(span.position, {})[span.first] = responses
                left[span.position] -= span.samples
                if left[span.position] == 0:
                    parts = drawn.pop(span.position)
                    yield span.position, [response for first in sorted(parts) for response in parts[first]]

    def _rows(self, tokens: int) -> int:
        if self.batch_size is not None:
            return self.batch_size
        return rows_that_fit(self._config, tokens, self.device, self.model.dtype.itemsize)

    def _blocks(self, requests: Sequence[Request], rows: int) -> list[Block]:
        blocks = plan_blocks(requests, rows)
        if self._mixes is None:
            for block in blocks:
                prompts = sorted((requests[span.position].prompt for span in block), key=len)
                if len(prompts[0]) < len(prompts[-1]):
                    tolerance = _PADDING_TOLERANCE.get(self.model.dtype, _PADDING_TOLERANCE_OF_HALF)
                    self._mixes = pads_well(self.model, prompts[0], prompts[-1], tolerance)
                    break
        return blocks if self._mixes is not False else plan_blocks(requests, rows, mix=False)

    def _drawn(
        self, requests: Sequence[Request], block: Block, sampling: Sampling, length: int
    ) -> list[list[Response]]:
        try:
            return self._draw(requests, block, sampling, length)
        except torch._dynamo.exc.TorchDynamoException as error:  # no compiler here: the same shapes without graphs
            if not self._graphs:
                raise
            _log.warning("no CUDA graphs, drawing will be slower: %s", one_line(error))
            self._graphs = False
            return self._draw(requests, block, sampling, length)

    def _draw(self, requests: Sequence[Request], block: Block, sampling: Sampling, length: int) -> list[list[Response]]:
        counts = [span.samples for span in block]
        seeds = [
            sample_seed(requests[span.position].key, index)
            for span in block
            for index in range(span.first, span.first + span.samples)
        ]
        prompts = [requests[span.position].prompt for span in block]
        repeat = torch.repeat_interleave(
            torch.arange(len(block), device=self.device), torch.tensor(counts, device=self.device)
        )
        rows, budget = len(seeds), sampling.max_new_tokens
        decoder: GrowingRows | FixedRows
        if self._fixed:
            decoder = FixedRows(self.model, prompts, repeat, length, self._caches, graphs=self._graphs)
        else:
            decoder = GrowingRows(self.model, prompts, repeat)

        ends = torch.tensor(self.end_tokens, device=self.device)
        # One row more than there are, finished from the start: it takes what comes of spare slots.
        tokens = torch.zeros((rows + 1, budget), dtype=torch.long, device=self.device)
        lengths = torch.full((rows + 1,), budget, device=self.device)
        finished = torch.arange(rows + 1, device=self.device) == rows
        log_probs = torch.zeros(rows + 1, dtype=torch.float64, device=self.device)
        entropies = torch.zeros(rows + 1, dtype=torch.float64, device=self.device)
        bits = as_bits([*seeds, 0], self.device)
        # The row in each slot of the decoder; some of them have perhaps finished.
        alive = torch.arange(len(decoder.logits), device=self.device).clamp(max=rows)
        look_every = _LOOK_EVERY_ON_CPU if self.device.type == "cpu" else _LOOK_EVERY
        for position in range(budget):
            log_p = torch.log_softmax(decoder.logits, dim=-1)
            token = choose_tokens(decoder.logits, uniforms(bits[alive], position), sampling)
            running = ~finished[alive]
            tokens[alive, position] = torch.where(running, token, 0)
            log_probs[alive] += torch.where(running, log_p.gather(1, token[:, None])[:, 0].double(), 0.0)
            entropy = (log_p.exp() * log_p).nan_to_num(0.0).sum(-1).double()
            entropies[alive] -= torch.where(running, entropy, 0.0)
            ended = running & torch.isin(token, ends)
            lengths[alive] = torch.where(ended, position + 1, lengths[alive])
            finished[alive] |= ended
            if position + 1 == budget:
                break
            if (position + 1) % look_every == 0:
                slots = (~finished[alive]).nonzero()[:, 0]
                if len(slots) == 0:
                    break
                if len(slots) <= (1 - _DROP_SHARE) * len(alive):
                    kept = decoder.keep(slots)
                    if kept is not None:
                        # Slots that were added to fill up are spare.
                        spare = torch.arange(len(kept), device=self.device) >= len(slots)
                        alive, token = torch.where(spare, rows, alive[kept]), token[kept]
            decoder.step(token)
        return _responses(
            counts, tokens[:rows], lengths[:rows], finished[:rows], log_probs[:rows], entropies[:rows], seeds
        )

    @torch.inference_mode()
    def completion_log_probs(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[NDArray[np.float64]]:
        """Score given completions, unpacked; see `quagpredict.engines.contract.Engine`."""
        self._check_open()
        scored: list[NDArray[np.float64]] = [np.empty(0)] * len(pairs)
        order = sorted(range(len(pairs)), key=lambda index: -len(pairs[index][0]) - len(pairs[index][1]))
        most = self.batch_size or most_rows(self.device)
        vocabulary = self.model.get_output_embeddings().weight.shape[0]
        start = 0
        while start < len(order):
            longest = len(pairs[order[start]][0]) + len(pairs[order[start]][1])
            self.check_context(longest)
            rows = max(1, min(most, _LOGITS // (longest * vocabulary)))
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


def _responses(
    counts: list[int],
    tokens: torch.Tensor,
    lengths: torch.Tensor,
    finished: torch.Tensor,
    log_probs: torch.Tensor,
    entropies: torch.Tensor,
    seeds: list[int],
) -> list[list[Response]]:
    rows = zip(
        tokens.tolist(),
        lengths.tolist(),
        finished.tolist(),
        log_probs.tolist(),
        entropies.tolist(),
        seeds,
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
