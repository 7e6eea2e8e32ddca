import numpy as np
import polars as pl
import pytest

from quagpredict.corpus.columns import LOGITS, curve_column, is_derived, origin, share_columns
from quagpredict.corpus.derived import with_derived
from quagpredict.errors import CorpusError
from quagpredict.metrics import pass_at_k


def table(counts: list[list[tuple[int, int]]]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "candidate": [f"c{i}" for i in range(len(counts))],
            "pre_problems": [[{"n": n, "c": c} for n, c in row] for row in counts],
        }
    )


def test_problems_with_different_n_are_joined() -> None:
    frame = with_derived(table([[(4, 1), (8, 8), (4, 0)], [(8, 2)]]), [curve_column(4), curve_column(8)])
    assert frame[curve_column(4)].to_list() == pytest.approx([(1 + 1 + 0) / 3, float(pass_at_k(8, 2, 4))])
    assert frame[curve_column(8)].to_list() == [None, 1.0]  # two problems of the first have but four samples


def test_rows_without_counts_are_null_and_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = [[(16, c % 17) for c in range(i, i + 5)] for i in range(7)]
    frame = table(counts).with_columns(
        pl.when(pl.col("candidate") == "c3").then(None).otherwise(pl.col("pre_problems")).alias("pre_problems")
    )
    names = [curve_column(2.5), *share_columns()]
    whole = with_derived(frame, names)
    assert whole[curve_column(2.5)].is_null().to_list() == [i == 3 for i in range(7)]
    monkeypatch.setattr("quagpredict.corpus.check._PROBLEMS_AT_ONCE", 6)
    parts = with_derived(frame, names)
    for name in names:
        np.testing.assert_allclose(parts[name].to_numpy(), whole[name].to_numpy(), rtol=1e-12)


def test_shares_are_a_distribution_and_know_n() -> None:
    frame = with_derived(table([[(n, 0)] * 10 for n in (4, 64, 1024)] + [[(64, 32)] * 10]), share_columns())
    shares = frame.select(share_columns()).to_numpy()
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    mean = shares @ (1 / (1 + np.exp(-LOGITS)))
    assert mean[0] > mean[1] > mean[2] > 0
    assert mean[3] == pytest.approx(0.5, abs=1e-6)


def test_shares_find_the_distribution_behind_the_counts() -> None:
    rng = np.random.default_rng(0)
    p = 1 / (1 + np.exp(-rng.normal(-1, 2, 4000)))
    frame = with_derived(table([[(32, int(c)) for c in rng.binomial(32, p)]]), share_columns())
    shares = frame.select(share_columns()).to_numpy()[0]
    found = np.array([shares @ f(1 / (1 + np.exp(-LOGITS))) for f in (lambda v: v, lambda v: v**2)])
    assert found == pytest.approx([p.mean(), (p**2).mean()], abs=0.01)


def test_texts_become_indicators() -> None:
    frame = pl.DataFrame({"candidate": ["a", "b", "c"], "base_model": ["x", "y", None]})
    got = with_derived(frame, ["base_model=x", "base_model=*"])
    assert got["base_model=x"].to_list() == [1.0, 0.0, 0.0]
    assert got["base_model=*"].to_list() == [0.0, 1.0, 1.0]


def test_a_column_that_is_there_is_kept() -> None:
    frame = table([[(4, 1)]]).with_columns(pl.lit(9.0).alias(curve_column(2)))
    assert with_derived(frame, [curve_column(2)])[curve_column(2)].to_list() == [9.0]


def test_flat_columns_do_where_counts_are_missing() -> None:
    frame = pl.DataFrame({"candidate": ["a"], "pre_pass_at_1": [0.2], "pre_pass_at_4": [0.6]})
    got = with_derived(frame, [curve_column(1), curve_column(2), curve_column(4), curve_column(8)])
    assert got.row(0)[3:] == (0.2, pytest.approx(0.4), 0.6, None)


def test_what_is_missing_is_named() -> None:
    frame = pl.DataFrame({"candidate": ["a"]})
    for name, column in (("pre_problems.share_3", "pre_problems"), ("base_model=x", "base_model")):
        assert is_derived(name)
        assert origin(name) == column
        with pytest.raises(CorpusError, match=column):
            with_derived(frame, [name])
    with pytest.raises(CorpusError, match="pre_pass_at_1"):
        with_derived(frame, [curve_column(2)])


def test_nested_columns_can_be_left_out() -> None:
    assert with_derived(table([[(4, 1)]]), [curve_column(2)], drop_nested=True).columns == [
        "candidate",
        curve_column(2),
    ]
