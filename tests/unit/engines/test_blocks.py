"""How samples are shared out to batches."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from quagpredict.engines.blocks import plan_blocks
from quagpredict.engines.contract import Request

REQUESTS = st.lists(
    st.builds(
        lambda length, first, samples: Request("key", (2,) * length, first, samples),
        st.integers(1, 12),
        st.integers(0, 300),
        st.integers(1, 40),
    ),
    max_size=30,
)


@given(REQUESTS, st.integers(1, 64), st.booleans())
def test_each_sample_is_in_one_block_and_no_block_is_too_large(requests, rows, mix):
    blocks = plan_blocks(requests, rows, mix=mix)
    planned = Counter(
        (span.position, span.first + i) for block in blocks for span in block for i in range(span.samples)
    )
    wanted = Counter((p, one.first + i) for p, one in enumerate(requests) for i in range(one.samples))
    assert planned == wanted
    assert all(0 < sum(span.samples for span in block) <= rows for block in blocks)


@given(REQUESTS, st.integers(1, 64))
def test_lengths_are_mixed_only_where_a_fifth_of_the_blocks_is_saved(requests, rows):
    def lengths(block):
        return {len(requests[span.position].prompt) for span in block}

    alone, mixed = plan_blocks(requests, rows, mix=False), plan_blocks(requests, rows)
    assert all(len(lengths(block)) == 1 for block in alone)
    assert mixed == alone or len(mixed) <= 0.8 * len(alone)
    longest = [max(lengths(block)) for block in mixed]
    assert longest == sorted(longest, reverse=True)


@given(REQUESTS, st.integers(1, 64))
def test_blocks_that_one_length_fills_stay_what_they_were(requests, rows):
    full = [block for block in plan_blocks(requests, rows, mix=False) if sum(span.samples for span in block) == rows]
    mixed = plan_blocks(requests, rows)
    assert all(block in mixed for block in full)


def test_few_samples_of_many_lengths_fill_batches():
    requests = [Request(str(length), (2,) * length, 0, 8) for length in range(40, 80)]
    assert len(plan_blocks(requests, 256, mix=False)) == 40
    assert len(plan_blocks(requests, 256)) == 2
