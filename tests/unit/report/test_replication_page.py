"""The page of a replication: short, and made of the tables beside it alone."""

from pathlib import Path

import polars as pl
import pytest

from quagpredict.replication import Replication, replication_of
from quagpredict.replication.transfer import transfers
from quagpredict.report.replication_page import notes_of, replication_page, replication_tables
from quagpredict.testing.synthetic import synthetic_corpus


@pytest.fixture(scope="module")
def replication() -> Replication:
    return replication_of(synthetic_corpus(24, seed=2).frame, "mine", surrogates=(), repeats=2)


def written(tables: dict[str, pl.DataFrame], notes: dict[str, list[str]]) -> str:
    figures = {"mine": {"regret": Path("docs/figures/page/mine-regret.png")}}
    return replication_page(tables, notes, figures, Path("docs/page.md"), "quagpredict replicate mine")


def test_the_files_beside_the_page_make_it_again(replication: Replication, tmp_path: Path) -> None:
    tables = replication_tables([replication], transfers([], ()))
    again = {}
    for name, table in tables.items():
        table.write_csv(tmp_path / name, float_precision=4)
        again[name] = pl.read_csv(tmp_path / name, infer_schema_length=None)
    notes = {"mine": notes_of(replication)}
    page = written(tables, notes)
    assert page == written(again, notes)
    assert "](figures/page/mine-regret.png)" in page
    assert all(f"](page/{name})" in page for name in tables if name != "corpora.csv")
    assert all(f"- {note}" in page for note in notes["mine"])


def test_what_a_corpus_does_not_hold_has_no_section(replication: Replication) -> None:
    page = written(replication_tables([replication], transfers([], ())), {})
    assert "## The claims" in page
    assert not any(title in page for title in ("Which checkpoint", "Which score after RL", "From one corpus"))
    assert "Llama3-8B" in page  # the paper's figures stand beside ours


def test_a_cell_says_verdict_effect_and_interval(replication: Replication) -> None:
    tables = replication_tables([replication], transfers([], ()))
    row = {"claim": "it helps", "measured": "points", "without": "", "effect": 1.25, "low": 0.5, "high": 2.0}
    claims = pl.DataFrame([{"corpus": "mine", **row, "verdict": "agrees"}])
    assert "| it helps | agrees: 1.2 (0.5 to 2.0) |" in written({**tables, "claims.csv": claims}, {})
    unmeasured = claims.with_columns(effect=None, low=None, high=None, verdict=pl.lit("cannot tell"))
    assert "| it helps | cannot tell |" in written({**tables, "claims.csv": unmeasured}, {})
