"""Rules that need no finished run, from counts and from what was derived of them while reading."""

import polars as pl
import pytest

from quagpredict.corpus import read_corpus
from quagpredict.schema import BY_NAME
from quagpredict.validation.free_orders import GEOMETRIC, free_orders

BY_BENCHMARK = ["pre_problems[*].pass_at_1", "pre_problems[*].weight"]


def table(lacking: bool) -> pl.DataFrame:
    counts = [[("x", 4, 1), ("x", 4, 3), ("y", 4, c)] for c in (1, 2, 3)]
    if lacking:
        counts[1] = counts[1][:2]
    problems = [
        [{"benchmark": name, "problem_id": str(at), "n": n, "c": c} for at, (name, n, c) in enumerate(cells)]
        for cells in counts
    ]
    nested = pl.Series("pre_problems", problems, BY_NAME["pre_problems"].dtype)
    return pl.DataFrame({"candidate": ["a", "b", "c"], "pre_pass_at_1": [0.4, 0.5, 0.6]}).with_columns(nested)


@pytest.mark.parametrize("lacking", [False, True])
def test_the_geometric_mean_is_the_same_from_counts_and_from_what_was_derived_of_them(lacking: bool) -> None:
    counted = free_orders(table(lacking))
    derived = free_orders(read_corpus(table(lacking), nested=False, derived=BY_BENCHMARK))
    assert (GEOMETRIC in counted) == (GEOMETRIC in derived) == (not lacking)
    if not lacking:
        assert derived[GEOMETRIC].to_list() == pytest.approx(counted[GEOMETRIC].to_list(), rel=1e-12)
