"""Tokens a second of the transformers engine, against `generate` and against what the memory's bandwidth allows.

`make bench BENCH=gpu` on any machine; `python bench/gpu.py CHECKPOINT --rows 1024` for a checkpoint of one's own. On a
GPU the model has the shape of SmolLM2-135M and random weights, in bfloat16; on a CPU it is a smaller one, drawn in
seconds. Prompts have sixteen lengths, as real text has. Both draw the whole budget: no end token counts.

The limit: each token needs all weights and the cache of its own row read once. It is computed with the bandwidth that a
copy reaches on the same device in the same run, and no engine can be faster.
"""

import argparse
import time
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from timing import Figure, in_turn
from tokenizers import Tokenizer, models
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

from quagpredict.engines.contract import Request, Sampling
from quagpredict.engines.memory import row_bytes
from quagpredict.engines.transformers_engine import TransformersEngine

ON_CUDA = torch.cuda.is_available()
DEVICE = "cuda" if ON_CUDA else "cpu"
ROWS, BUDGET, PROMPTS, SAMPLES = (1024, 160, 128, 8) if ON_CUDA else (64, 32, 16, 4)
SHAPE = {"vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30}
SMALLER = {"vocab_size": 8192, "hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 6}
HEADS = {"num_attention_heads": 9, "num_key_value_heads": 3}
SMALLER_HEADS = {"num_attention_heads": 3, "num_key_value_heads": 1}


def random_checkpoint(folder: Path) -> Path:
    """Write a checkpoint with random weights."""
    transformers_logging.disable_progress_bar()
    torch.manual_seed(0)
    shape = SHAPE | HEADS if ON_CUDA else SMALLER | SMALLER_HEADS
    ends = {"eos_token_id": 1, "bos_token_id": 2, "pad_token_id": 0}
    model = LlamaForCausalLM(LlamaConfig(**shape, **ends, max_position_embeddings=1024, tie_word_embeddings=True))
    (model.bfloat16() if ON_CUDA else model).save_pretrained(folder)
    words = Tokenizer(models.WordLevel({"<pad>": 0, "<eos>": 1, "<bos>": 2}, "<pad>"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="<eos>", bos_token="<bos>")
    tokenizer.save_pretrained(folder)
    return folder


def prompts_of_all_lengths(vocabulary: int) -> list[tuple[int, ...]]:
    """Return prompts of sixteen lengths, from 24 to 84 tokens."""
    lengths = [24 + 4 * (index % 16) for index in range(PROMPTS)]
    return [tuple((31 * i + length) % (vocabulary - 3) + 3 for i in range(length)) for length in lengths]


def waited(call: partial[None]) -> None:
    """Run a call to its end, on the device too."""
    call()
    if ON_CUDA:
        torch.cuda.synchronize()


def ours(engine: TransformersEngine, prompts: Sequence[tuple[int, ...]], budget: int, *, mix: bool = True) -> None:
    """Draw with the engine, in batches of mixed lengths or of one; what comes is thrown away."""
    engine._mixes = None if mix else False
    requests = [Request(str(index), prompt, 0, SAMPLES) for index, prompt in enumerate(prompts)]
    for _ in engine.generate(requests, Sampling(max_new_tokens=budget)):
        pass


def theirs(engine: TransformersEngine, prompts: Sequence[tuple[int, ...]], rows: int, budget: int) -> None:
    """Draw as many samples of the same prompts with `generate`, in batches as large, padded on the left."""
    repeated = sorted((prompt for prompt in prompts for _ in range(SAMPLES)), key=len, reverse=True)
    for start in range(0, len(repeated), rows):
        batch = repeated[start : start + rows]
        width = len(batch[0])
        tokens = torch.tensor([[0] * (width - len(one)) + list(one) for one in batch], device=DEVICE)
        mask = torch.tensor([[0] * (width - len(one)) + [1] * len(one) for one in batch], device=DEVICE)
        with torch.inference_mode():
            engine.model.generate(
                tokens,
                attention_mask=mask,
                max_new_tokens=budget,
                min_new_tokens=budget,
                do_sample=True,
                temperature=1.0,
                top_k=0,
                top_p=1.0,
                pad_token_id=0,
            )


def bytes_a_second() -> float:
    """Return the bandwidth that a copy reaches, the best of five."""
    source = torch.ones(2**29 if ON_CUDA else 2**25, dtype=torch.float32, device=DEVICE)
    target = torch.empty_like(source)
    best = 0.0
    for _ in range(5):
        started = time.perf_counter()
        waited(partial(target.copy_, source))
        best = max(best, 2 * source.nbytes / (time.perf_counter() - started))
    return best


def limit_seconds(engine: TransformersEngine, prompts: Sequence[tuple[int, ...]], rows: int, budget: int) -> float:
    """Return the least time in which memory could be read for all tokens."""
    weights = sum(one.nbytes for one in engine.model.parameters())
    size = engine.model.dtype.itemsize
    # What a row's cache takes a token: `row_bytes` counts it twice, beside the draw.
    one = (row_bytes(engine.model.config, 1, size) or 0) - (row_bytes(engine.model.config, 0, size) or 0)
    context = sum(map(len, prompts)) / len(prompts) + budget / 2
    drawn = len(prompts) * SAMPLES
    steps = budget * -(-drawn // rows)
    return (steps * weights + drawn * budget * context * one / 2) / bytes_a_second()


def measure(checkpoint: Path | None = None, rows: int = ROWS, budget: int = BUDGET) -> list[Figure]:
    """Three figures; promised is to be no slower than either way, and the limit cannot be beaten."""
    if not ON_CUDA:
        torch.set_num_threads(1)
    with (
        TemporaryDirectory() as folder,
        closing(
            TransformersEngine(checkpoint or random_checkpoint(Path(folder)), batch_size=rows, device=DEVICE)
        ) as engine,
    ):
        engine.end_tokens = [-1]
        prompts = prompts_of_all_lengths(engine.model.config.get_text_config().vocab_size)
        drawn, generated = in_turn(
            partial(waited, partial(ours, engine, prompts, budget)),
            partial(waited, partial(theirs, engine, prompts, rows, budget)),
            repeats=3,
        )
        again, alone = in_turn(
            partial(waited, partial(ours, engine, prompts, budget)),
            partial(waited, partial(ours, engine, prompts, budget, mix=False)),
            repeats=3,
        )
        limit = limit_seconds(engine, prompts, rows, budget)
        millions = sum(one.numel() for one in engine.model.parameters()) / 1e6
        kind = str(engine.model.dtype).removeprefix("torch.")
    tokens = PROMPTS * SAMPLES * budget
    where = torch.cuda.get_device_name() if ON_CUDA else "one thread of a CPU"
    note = f"{where}, {millions:.1f}M parameters in {kind}, {rows} rows, {PROMPTS} prompts of 16 lengths"
    speeds = f"{tokens / drawn:,.0f} tokens/s, generate {tokens / generated:,.0f}, limit {tokens / limit:,.0f}"
    name = f"draw {tokens:,} tokens"
    return [
        Figure(name, drawn, "generate", generated, "<= 1 x", drawn <= generated, note),
        Figure(name, again, "one length at a time", alone, "<= 1 x", again <= alone, f"{tokens / alone:,.0f} tokens/s"),
        Figure(name, drawn, "bandwidth's limit", limit, ">= 1 x", drawn >= limit, speeds),
    ]


def main() -> None:
    """Measure a checkpoint that is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, nargs="?", help="folder of a checkpoint (default: random weights)")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"samples side by side (default: {ROWS})")
    parser.add_argument("--budget", type=int, default=BUDGET, help=f"tokens of a response (default: {BUDGET})")
    args = parser.parse_args()
    for figure in measure(args.checkpoint, args.rows, args.budget):
        times = figure.seconds / figure.yardstick_seconds
        print(f"{figure.name}: {figure.seconds:.3f} s, {times:.2f} x {figure.yardstick}; {figure.note}")


if __name__ == "__main__":
    main()
