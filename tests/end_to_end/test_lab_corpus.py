"""The large corpora: rows are the plan's, all of them, and can be traced to their records."""

from pathlib import Path

import polars as pl
import pytest

from quagpredict.collection.archive import unpack
from quagpredict.collection.collecting import planned_commands
from quagpredict.collection.ledger import read_ledger
from quagpredict.collection.rows import Rows
from quagpredict.collection.stages import rows_of
from quagpredict.collection.work_folder import WorkFolder
from quagpredict.corpus import read_corpus
from quagpredict.evaluation import read_suite
from quagpredict.plan import Plan
from quagpredict.shipped import shipped_path


@pytest.fixture(scope="module", params=["lab", "lab-2"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def plan(name: str) -> Plan:
    return Plan.from_yaml(shipped_path(f"collectors/plans/{name}.yaml"))


@pytest.fixture(scope="module")
def corpus(name: str) -> pl.DataFrame:
    return read_corpus(shipped_path(f"datasets/{name}/corpus.parquet"))


@pytest.fixture(scope="module")
def work(name: str, tmp_path_factory: pytest.TempPathFactory) -> WorkFolder:
    """A work folder with what the archives hold, as on another machine."""
    folder = tmp_path_factory.mktemp(name)
    unpack(sorted(shipped_path(f"datasets/{name}").glob("records-*.parquet")), folder)
    return WorkFolder(folder)


def test_the_plans_are_as_large_as_they_were_designed() -> None:
    plans = [Plan.from_yaml(shipped_path(f"collectors/plans/{name}.yaml")) for name in ("lab-2", "lab")]
    assert len(rows_of(plans[0])) == 62
    plan, rows = plans[1], rows_of(plans[1])
    assert len(rows) == 244
    assert sum(bool(candidate.rl_further) for candidate in plan.candidates) == 24
    assert sum(len(candidate.rl_seeds) >= 3 for candidate in plan.candidates) >= 12
    assert {row.candidate.base for row in rows} == {"weak", "strong", "small", "llama"}


def test_every_row_is_one_of_the_plan(name: str, plan: Plan, corpus: pl.DataFrame) -> None:
    planned = {(row.candidate.name, row.rl_seed): row for row in rows_of(plan)}
    there = set(corpus.select("candidate", "rl_seed").rows())
    assert there == set(planned)
    for row in corpus.iter_rows(named=True):
        wanted = planned[row["candidate"], row["rl_seed"]]
        assert (row["recipe_id"], row["rl_recipe_id"]) == (wanted.recipe_id, wanted.rl_recipe_id)
        assert (row["split"], row["recipe_scenario"]) == (wanted.candidate.split, wanted.candidate.scenario)
        steps = [point["step"] for point in row["post_curve"]]
        last = row["rl_steps"]
        assert steps == [0, 50, 100, 200, last, *wanted.candidate.rl_further]
    suite = read_suite(shipped_path(f"collectors/suites/{name}.yaml"))
    assert corpus["eval_protocol_id"].unique().to_list() == [suite.eval_protocol_id]


def test_every_row_is_made_again_from_its_records(plan: Plan, corpus: pl.DataFrame, work: WorkFolder) -> None:
    made = Rows(plan, work).frame(read_ledger(work.ledger)).filter(pl.col("post_pass_at_1").is_not_null())
    assert made.select(corpus.columns).equals(corpus)


def test_the_collection_goes_on_where_it_was(plan: Plan, work: WorkFolder) -> None:
    states = [state for _, state, _ in planned_commands(plan, work.root)]
    done = {attempt.stage for attempt in read_ledger(work.ledger)}
    assert states.count("done") == len(done)
    assert "blocked" not in states
    assert "failed" not in states


def test_the_records_name_versions_and_digests(work: WorkFolder) -> None:
    for attempt in read_ledger(work.ledger):
        assert attempt.record is not None
        assert attempt.record.versions["torch"].startswith("2.13.0")
        assert attempt.record.inputs
        assert not any(str(Path(value)).startswith("/") for value in attempt.config.values() if isinstance(value, str))
