"""Batch sizes from the memory that is free."""

from contextlib import closing

import pytest
import torch
from transformers import GPT2Config, LlamaConfig, PretrainedConfig

from quagpredict.engines import memory
from quagpredict.engines.contract import Request, Sampling
from quagpredict.engines.memory import free_memory, most_rows, row_bytes, rows_that_fit
from quagpredict.engines.transformers_engine import TransformersEngine

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
SMOL = LlamaConfig(
    vocab_size=49152, hidden_size=576, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3
)


def test_a_row_is_its_cache_twice_and_its_draw():
    # 30 layers x 3 heads x 64 x keys and values x 2 bytes x 200 tokens, twice; 48 bytes of each of 49,152 tokens.
    assert row_bytes(SMOL, 200, 2) == 2 * 30 * 3 * 64 * 2 * 2 * 200 + 48 * 49152
    assert row_bytes(GPT2Config(), 100, 4) == 2 * 12 * 768 * 2 * 4 * 100 + 48 * 50257
    assert row_bytes(PretrainedConfig(), 100, 4) is None


@pytest.mark.parametrize(
    ("free", "expected"), [(0, 1), (2**30, (2**30 // 4) // row_bytes(SMOL, 200, 4)), (2**40, 256), (None, 256)]
)
def test_rows_fill_a_share_of_what_is_free(monkeypatch, free, expected):
    monkeypatch.setattr(memory, "free_memory", lambda device: free)
    assert rows_that_fit(SMOL, 200, CPU, 4) == expected


def test_a_gpu_has_more_rows(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda device: 2**40)
    assert rows_that_fit(SMOL, 200, CUDA, 2) == most_rows(CUDA) == 1024


def test_free_memory_is_read_and_a_group_limit_holds(tmp_path, monkeypatch):
    assert free_memory(CPU) > 2**20
    for name, text in (("memory.max", "1000"), ("memory.current", "900"), ("memory.stat", "anon 5\ninactive_file 300")):
        (tmp_path / name).write_text(text)
    assert memory._group_free(tmp_path) == 400
    (tmp_path / "memory.max").write_text("max")
    assert memory._group_free(tmp_path) is None


def test_the_batch_is_what_fits_unless_it_is_named(checkpoint, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda device: 3 * 4 * row_bytes(engine._config, 12, 4))
    with closing(TransformersEngine(checkpoint, device="cpu")) as engine:
        assert engine._rows(12) == 3
        asked = [Request("one", (2, 4, 5), 0, 7)]
        few = dict(engine.generate(asked, Sampling(max_new_tokens=9)))
        engine.batch_size = 7
        assert engine._rows(12) == 7
        assert [one.tokens for one in dict(engine.generate(asked, Sampling(max_new_tokens=9)))[0]] == [
            one.tokens for one in few[0]
        ]


@pytest.mark.gpu
def test_free_memory_of_a_gpu():
    assert 2**20 < free_memory(CUDA) <= torch.cuda.get_device_properties(0).total_memory
