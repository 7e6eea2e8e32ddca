"""How many samples fit beside each other, from a model's shape and the memory that is free."""

import os
from pathlib import Path
from typing import Any

import torch

# What one generation may take of the free memory. A CPU's is shared with other workers and other programs.
_SHARE, _SHARE_ON_CPU = 0.6, 0.25
# More rows than this are no faster: a CPU is busy with fewer, and a GPU's arithmetic catches up with its memory.
_MOST_ROWS, _MOST_ROWS_ON_CPU = 1024, 256
# Bytes a row and a token of vocabulary while a token is drawn: logits in single precision, their softmax, cumulative
# sum and temporaries in double.
_DRAWING = 48


def rows_that_fit(config: Any, tokens: int, device: torch.device, itemsize: int) -> int:
    """Return how many samples can be drawn side by side.

    Parameters
    ----------
    config : transformers config
        A model whose config does not tell the size of its cache gets the most rows.
    tokens : int
        Of prompt and response together.
    itemsize : int
        Bytes of a number in the cache.

    Returns
    -------
    int
        At least 1, at most 256 on a CPU and 1,024 elsewhere.
    """
    most = most_rows(device)
    row = row_bytes(config, tokens, itemsize)
    free = free_memory(device)
    if row is None or free is None:
        return most
    share = _SHARE_ON_CPU if device.type == "cpu" else _SHARE
    return max(1, min(most, int(share * free) // row))


def most_rows(device: torch.device) -> int:
    """Return how many rows are worth having side by side, whatever the memory."""
    return _MOST_ROWS_ON_CPU if device.type == "cpu" else _MOST_ROWS


def row_bytes(config: Any, tokens: int, itemsize: int) -> int | None:
    """Return the bytes of one sample at its longest: keys and values, twice while a cache is copied, and the draw.

    Examples
    --------
    >>> from transformers import LlamaConfig
    >>> small = LlamaConfig(vocab_size=1000, hidden_size=64, num_hidden_layers=2, num_attention_heads=4)
    >>> row_bytes(small, tokens=100, itemsize=2) == 2 * (2 * 2 * 64 * 2 * 100) + 48 * 1000
    True
    """
    text = config.get_text_config()
    heads = getattr(text, "num_key_value_heads", None) or getattr(text, "num_attention_heads", None)
    width = getattr(text, "head_dim", None)
    if width is None and getattr(text, "hidden_size", None) and getattr(text, "num_attention_heads", None):
        width = text.hidden_size // text.num_attention_heads
    layers = getattr(text, "num_hidden_layers", None)
    if not heads or not width or not layers:
        return None
    return int(2 * (2 * layers * heads * width * itemsize * tokens) + _DRAWING * text.vocab_size)


def free_memory(device: torch.device) -> int | None:
    """Return the free bytes of a device; of a CPU what system and control group have left, None if neither says."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    limits = [free for free in (_system_free(), _group_free(Path("/sys/fs/cgroup"))) if free is not None]
    return min(limits, default=None)


def _system_free() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):
        return None


def _group_free(folder: Path) -> int | None:
    try:
        limit, used = (int((folder / name).read_text()) for name in ("memory.max", "memory.current"))
        counts = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        # Files that were read once are counted as used, and given up when memory is wanted.
        return max(0, limit - used + int(counts.get("inactive_file", 0)))
    except (OSError, ValueError):  # no control group, or no limit ("max")
        return None


def fast_half_precision(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether a device computes in a checkpoint's half precision without emulating it: a CPU in bfloat16 at most."""
    if device.type != "cpu":
        return True
    if dtype != torch.bfloat16:
        return False
    checks = [getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")]
    return any(check() for check in checks if check is not None)
