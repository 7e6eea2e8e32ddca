"""The large corpora: rows are the plan's, all of them, and can be traced to their records."""

from pathlib import Path

import polars as pl
import pytest

from quagpredict.collection import planned_commands
from quagpredict.collection.archive import unpack
from quagpredict.collection.ledger import read_ledger
from quagpredict.collection.rows import Rows
from quagpredict.collection.stages import rows_of
from quagpredict.collection.work_folder import WorkFolder
from quagpredict.corpus import read_corpus
from quagpredict.evaluation import read_suite
from quagpredict.plans.plan import Plan
from quagpredict.shipped import shipped_path

#: Corpora that are still being collected: their rows are some of the plan's.
UNFINISHED: tuple[str, ...] = ()


#: Corpus -> the suite of another corpus that it is measured by.
SUITES = {"lab-search": "lab-3", "lab-4": "lab-2", "lab-5": "lab"}


@pytest.fixture(scope="module", params=["lab", "lab-2", "lab-3", "lab-search", "lab-4", "lab-5"])
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
    plans = [Plan.from_yaml(shipped_path(f"collectors/plans/{name}.yaml")) for name in ("lab-3", "lab-2", "lab")]
    assert len(rows_of(plans[0])) == 144
    assert len(plans[0].candidates) == 120
    assert len(rows_of(plans[1])) == 62
    plan, rows = plans[2], rows_of(plans[2])
    assert len(rows) == 244
    assert sum(bool(candidate.rl_further) for candidate in plan.candidates) == 24
    assert sum(len(candidate.rl_seeds) >= 3 for candidate in plan.candidates) >= 12
    assert {row.candidate.base for row in rows} == {"weak", "strong", "small", "llama"}


def test_every_row_is_one_of_the_plan(name: str, plan: Plan, corpus: pl.DataFrame) -> None:
    planned = {(row.candidate.name, row.rl_seed): row for row in rows_of(plan)}
    runs = corpus.filter(pl.col("post_pass_at_1").is_not_null())
    there = set(runs.select("candidate", "rl_seed").rows())
    assert there <= set(planned) if name in UNFINISHED else there == set(planned)
    waiting = corpus.filter(pl.col("post_pass_at_1").is_null())["candidate"].to_list()
    assert set(waiting) <= {candidate for candidate, _ in planned} - {candidate for candidate, _ in there}
    for row in runs.iter_rows(named=True):
        wanted = planned[row["candidate"], row["rl_seed"]]
        assert (row["recipe_id"], row["rl_recipe_id"]) == (wanted.recipe_id, wanted.rl_recipe_id)
        assert (row["split"], row["recipe_scenario"]) == (wanted.candidate.split, wanted.candidate.scenario)
        steps = [point["step"] for point in row["post_curve"]]
        last = row["rl_steps"]
        assert plan.rl is not None
        assert steps == [0, *plan.rl.measure_at, last, *wanted.candidate.rl_further]
    suite = read_suite(shipped_path(f"collectors/suites/{SUITES.get(name, name)}.yaml"))
    assert corpus["eval_protocol_id"].unique().to_list() == [suite.eval_protocol_id]


def test_every_row_is_made_again_from_its_records(plan: Plan, corpus: pl.DataFrame, work: WorkFolder) -> None:
    made = Rows(plan, work, read_ledger(work.ledger)).frame()
    assert made.select(corpus.columns).equals(corpus)


def test_the_collection_goes_on_where_it_was(name: str, plan: Plan, work: WorkFolder) -> None:
    states = [state for _, state, _ in planned_commands(plan, work.root)]
    done = {attempt.stage for attempt in read_ledger(work.ledger)}
    # Where RL goes on, the SFT run before it is made again for its weights.
    again = sum(state == "ready" for state in states) if name in UNFINISHED else 0
    assert len(done) - again <= states.count("done") <= len(done)
    assert "blocked" not in states
    assert "failed" not in states


def test_the_records_name_versions_and_digests(work: WorkFolder) -> None:
    for attempt in read_ledger(work.ledger):
        assert attempt.record is not None
        assert attempt.record.versions["torch"].startswith("2.13.0")
        assert attempt.record.inputs
        assert not any(str(Path(value)).startswith("/") for value in attempt.config.values() if isinstance(value, str))
