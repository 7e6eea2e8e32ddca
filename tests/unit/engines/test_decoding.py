"""A prompt's samples are its own, whatever stands beside it in a batch and whatever cache it has."""

from contextlib import closing

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from quagpredict.engines.contract import Request, Sampling, sample_seed
from quagpredict.engines.decoding import as_bits, can_be_fixed, uniforms
from quagpredict.engines.transformers_engine import TransformersEngine

COMMON = {"bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0, "tie_word_embeddings": False}
SMALL = COMMON | {"vocab_size": 24, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
LLAMA = SMALL | {"intermediate_size": 48, "max_position_embeddings": 64}
GPT2 = COMMON | {"vocab_size": 24, "n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64}
# Positions by rotation, by a table, by a bias that the mask decides; a window shorter than the prompts; two windows.
MODELS = {
    "llama": lambda: transformers.LlamaConfig(**LLAMA, num_key_value_heads=1),
    "qwen2": lambda: transformers.Qwen2Config(**LLAMA, num_key_value_heads=1),
    "gpt2": lambda: transformers.GPT2Config(**GPT2),
    "bloom": lambda: transformers.BloomConfig(**COMMON, vocab_size=24, hidden_size=32, n_layer=2, n_head=2),
    "mistral": lambda: transformers.MistralConfig(**LLAMA, num_key_value_heads=1, sliding_window=4),
    "gemma3": lambda: transformers.Gemma3TextConfig(**LLAMA, head_dim=16, num_key_value_heads=1, sliding_window=4),
}
# Cold, since random weights give flat distributions, in which a wrong mask would hardly show.
SAMPLING = Sampling(max_new_tokens=16, temperature=0.05)
CUDA = pytest.param("cuda", marks=pytest.mark.gpu)


@pytest.fixture(scope="module")
def engine_of(checkpoint):
    """Return an engine whose model is a small random one of the named kind."""
    loaded = []

    def make(name, device="cpu", **settings):
        torch.manual_seed(0)
        model = transformers.AutoModelForCausalLM.from_config(MODELS[name]())
        engine = TransformersEngine(checkpoint, device=device, **settings)
        engine.model = model.to(device).eval()
        engine._config = model.config
        loaded.append(engine)
        return engine

    yield make
    for one in loaded:
        one.close()


def asked(lengths=(2, 3, 5, 8, 9, 12, 17), samples=5):
    return [
        Request(f"prompt {size}", tuple((7 * i + size) % 21 + 3 for i in range(size)), 0, samples) for size in lengths
    ]


def tokens_of(drawn):
    return {position: [one.tokens for one in responses] for position, responses in drawn}


@pytest.mark.parametrize("device", ["cpu", CUDA])
@pytest.mark.parametrize("name", MODELS)
def test_a_mixed_batch_draws_what_each_prompt_draws_alone(engine_of, name, device):
    engine = engine_of(name, device)
    together = dict(engine.generate(asked(), SAMPLING))
    assert engine._mixes
    for position, request in enumerate(asked()):
        ((_, alone),) = engine.generate([request], SAMPLING)
        assert [one.tokens for one in alone] == [one.tokens for one in together[position]]
        for one, other in zip(alone, together[position], strict=True):
            assert one._replace(log_prob_sum=0.0, entropy_sum=0.0) == other._replace(log_prob_sum=0.0, entropy_sum=0.0)
            assert one.log_prob_sum == pytest.approx(other.log_prob_sum, abs=1e-3)
            assert one.entropy_sum == pytest.approx(other.entropy_sum, abs=1e-3)
    assert len({one.tokens for responses in together.values() for one in responses}) > 20


@pytest.mark.parametrize("device", ["cpu", CUDA])
@pytest.mark.parametrize("name", ["llama", "qwen2", "gpt2"])
def test_a_cache_of_fixed_shapes_draws_the_same(engine_of, name, device, monkeypatch):
    growing, fixed = engine_of(name, device, fixed_cache=False), engine_of(name, device)
    monkeypatch.setattr(fixed, "_fixed", can_be_fixed(fixed.model))
    assert fixed._fixed
    requests = asked(samples=11)  # 77 rows in 128 slots, of which fewer are needed as responses end
    expected = dict(growing.generate(requests, SAMPLING))
    drawn = dict(fixed.generate(requests, SAMPLING))
    assert tokens_of(drawn.items()) == tokens_of(expected.items())
    for position, responses in expected.items():
        assert [one.log_prob_sum for one in responses] == pytest.approx(
            [one.log_prob_sum for one in drawn[position]], abs=1e-3
        )
    assert min(fixed._caches) < max(fixed._caches)  # rows moved to fewer slots
    # The same memory again, for other prompts.
    assert tokens_of(fixed.generate(asked((4, 6)), SAMPLING)) == tokens_of(growing.generate(asked((4, 6)), SAMPLING))


def test_a_window_keeps_its_growing_cache(engine_of):
    assert not can_be_fixed(engine_of("mistral").model)
    assert not can_be_fixed(engine_of("gemma3").model)


def test_a_model_that_ignores_the_mask_is_drawn_one_length_at_a_time(engine_of, monkeypatch):
    engine = engine_of("llama")
    expected = {
        position: [one.tokens for one in responses]
        for position, request in enumerate(asked())
        for _, responses in engine.generate([request], SAMPLING)
    }
    seeing = engine.model.forward

    def blind(input_ids, attention_mask=None, position_ids=None, **others):
        return seeing(input_ids, **others)

    monkeypatch.setattr(engine.model, "forward", blind)
    monkeypatch.setattr(engine, "_mixes", None)
    assert tokens_of(engine.generate(asked(), SAMPLING)) == expected
    assert engine._mixes is False


def test_half_precision_is_single_where_the_processor_would_emulate_it(checkpoint, tmp_path, monkeypatch):
    half = transformers.AutoModelForCausalLM.from_pretrained(checkpoint, dtype="bfloat16")
    transformers.AutoTokenizer.from_pretrained(checkpoint).save_pretrained(tmp_path)
    half.save_pretrained(tmp_path)
    for fast, dtype, expected in ((False, "auto", torch.float32), (True, "auto", torch.bfloat16)):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda fast=fast: fast, raising=False)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False, raising=False)
        with closing(TransformersEngine(tmp_path, device="cpu", dtype=dtype)) as engine:
            assert engine.model.dtype == expected
    with closing(TransformersEngine(tmp_path, device="cpu", dtype="bfloat16")) as engine:  # who asks for it gets it
        assert engine.model.dtype == torch.bfloat16


# Outputs of the authors' splitmix64.c for the seed 1234567.
PUBLISHED = [
    6457827717110365317,
    3203168211198807973,
    9817491932198370423,
    4593380528125082431,
    16408922859458223821,
]
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
SEEDS = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20)


def in_python(seed, position):
    state = (seed + (position + 1) * 0x9E3779B97F4A7C15) % 2**64
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB % 2**64
    return ((state ^ (state >> 31)) >> 11) / 2**53


@pytest.mark.parametrize("device", DEVICES)
def test_the_published_stream(device):
    drawn = [uniforms(as_bits([1234567], device), position).item() for position in range(5)]
    assert drawn == [(whole >> 11) / 2**53 for whole in PUBLISHED]


@pytest.mark.parametrize("device", DEVICES)
@given(seeds=SEEDS, position=st.integers(0, 100_000))
def test_every_bit_is_that_of_whole_numbers(device, seeds, position):
    expected = [in_python(seed, position) for seed in seeds]
    assert uniforms(as_bits(seeds, device), position).tolist() == expected


def test_uniforms_are_uniform_over_samples_and_over_positions():
    seeds = as_bits([sample_seed("a", index) for index in range(4000)])
    drawn = torch.stack([uniforms(seeds, position) for position in range(20)]).numpy()
    assert drawn.min() >= 0
    assert drawn.max() < 1
    counts, _ = np.histogram(drawn, bins=50, range=(0, 1))
    expected = drawn.size / 50
    # Chi-square with 49 degrees of freedom: 99.99 % lie below 94.
    assert ((counts - expected) ** 2 / expected).sum() < 94
    assert abs(np.corrcoef(drawn)[np.triu_indices(20, 1)]).max() < 0.08
