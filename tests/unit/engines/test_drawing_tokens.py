"""Random numbers as whole numbers of Python give them, on whatever device."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from quagpredict.engines.contract import sample_seed
from quagpredict.engines.drawing_tokens import as_bits, uniforms

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
