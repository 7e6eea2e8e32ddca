import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quagpredict.errors import UsageError
from quagpredict.validation.splits import Split, leave_one_group_out, random_halves, repeated_k_fold

GROUPS = st.lists(st.sampled_from("abcdef"), min_size=2, max_size=20).filter(lambda groups: len(set(groups)) > 1)


def _check(split: Split, groups: list[str]) -> None:
    assert sorted([*split.train, *split.test]) == list(range(len(groups)))
    assert len(split.train)
    assert len(split.test)
    assert not {groups[row] for row in split.train} & {groups[row] for row in split.test}


@given(GROUPS, st.integers(0, 100), st.floats(0.01, 0.99))
def test_halves_part_the_rows_and_keep_groups_whole(groups: list[str], seed: int, share: float) -> None:
    for split in random_halves(groups, 5, seed, share):
        _check(split, groups)


@given(GROUPS, st.integers(2, 6))
def test_every_row_is_tested_once_a_repeat(groups: list[str], folds: int) -> None:
    splits = repeated_k_fold(groups, folds, repeats=3)
    for repeat in range(3):
        members = [split for split in splits if split.repeat == repeat]
        for split in members:
            _check(split, groups)
        assert sorted(row for split in members for row in split.test) == list(range(len(groups)))


@given(GROUPS)
def test_each_group_is_left_out_once(groups: list[str]) -> None:
    splits = leave_one_group_out(groups)
    assert [{groups[row] for row in split.test} for split in splits] == [{name} for name in sorted(set(groups))]
    for split in splits:
        _check(split, groups)


def test_a_half_is_a_half_and_the_seed_decides() -> None:
    splits = random_halves(np.arange(11), 50, seed=3)
    assert {len(split.train) for split in splits} <= {5, 6}
    again = random_halves(np.arange(11), 50, seed=3)
    assert all((a.train == b.train).all() for a, b in zip(splits, again, strict=True))
    other = random_halves(np.arange(11), 50, seed=4)
    assert any((a.train != b.train).any() for a, b in zip(splits, other, strict=True))


def test_what_cannot_be_split_is_refused() -> None:
    with pytest.raises(UsageError, match="two groups"):
        random_halves(["a", "a"])
    with pytest.raises(UsageError, match="share"):
        random_halves(["a", "b"], share=1.0)
    with pytest.raises(UsageError, match="folds"):
        repeated_k_fold(["a", "b"], folds=1)
