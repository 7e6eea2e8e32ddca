from math import log

import numpy as np
import pytest

from quagpredict.errors import InvalidDataError
from quagpredict.metrics import token_weighted_loss


def test_tokens_weigh_the_same_whatever_their_example():
    loss = token_weighted_loss([10.0, 1.0], [10, 100])
    assert loss.nats_per_token == pytest.approx(11 / 110)
    assert loss.examples == 2
    assert loss.tokens == 110
    assert loss.bits_per_byte is None


def test_a_uniform_byte_model_has_8_bits_per_byte():
    sizes = np.array([3, 5, 11])
    loss = token_weighted_loss(sizes * log(256), sizes, bytes=sizes)
    assert loss.bits_per_byte == pytest.approx(8)
    assert loss.nats_per_token == pytest.approx(log(256))
    assert loss.standard_error == pytest.approx(0, abs=1e-12)


def test_equal_lengths_give_the_standard_error_of_a_mean():
    nll = np.array([1.0, 2.0, 4.0, 1.0])
    loss = token_weighted_loss(nll, [2] * 4)
    assert loss.standard_error == pytest.approx((nll / 2).std(ddof=1) / 2)


def test_examples_without_supervised_tokens_do_not_count():
    full, padded = token_weighted_loss([1.0, 3.0], [2, 2]), token_weighted_loss([1.0, 0.0, 3.0], [2, 0, 2])
    assert padded == full


def test_one_example_has_no_standard_error_and_clusters_widen_it():
    assert np.isnan(token_weighted_loss([1.0], [2]).standard_error)
    nll = [1.0, 1.1, 3.0, 3.1]
    clustered = token_weighted_loss(nll, [2] * 4, clusters=["a", "a", "b", "b"])
    assert clustered.standard_error > token_weighted_loss(nll, [2] * 4).standard_error


@pytest.mark.parametrize(
    ("nll", "tokens", "sizes", "message"),
    [
        ([], [], None, "no token of the 0 held-out examples is supervised"),
        ([0.0, 0.0], [0, 0], None, "no token of the 2 held-out examples is supervised"),
        ([1.0, float("nan")], [1, 1], None, "nll_sum at position 1 .*got nan"),
        ([1.0, float("inf")], [1, 1], None, "nll_sum at position 1"),
        ([-1.0], [1], None, "nll_sum at position 0"),
        ([1.0, 1.0], [1], None, "tokens must hold one number for each of the 2 examples, got 1"),
        ([1.0, 1.0], [1, 0], None, "nll_sum at position 1 must be 0 where no token is supervised"),
        ([1.0], [1], [0], "bytes at position 0 must be positive"),
        ([0.0], [1], [0], "bytes are all 0"),
    ],
)
def test_impossible_sums_are_refused(nll, tokens, sizes, message):
    with pytest.raises(InvalidDataError, match=message):
        token_weighted_loss(nll, tokens, bytes=sizes)
