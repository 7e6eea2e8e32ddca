"""Predictions are sealed before RL, and judged only as they were sealed."""

import json
import random
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from quagpredict.corpus import read_corpus, write_corpus
from quagpredict.errors import CorpusError, InvalidDataError, RecipeError, UsageError
from quagpredict.mixture_search import MixtureSearch
from quagpredict.mixture_search.rounds import round_seed
from quagpredict.mixture_search.space_file import SearchPlan
from quagpredict.shipped import shipped_path

FREE_RULES = 7
Program = Callable[[list[str]], None]


@pytest.fixture(scope="module")
def programs() -> dict[str, dict[str, Any]]:
    folder = str(shipped_path("collectors"))
    sys.path.insert(0, folder)  # as Python does for a program that is run by its path
    try:
        names = ("draw_recipes", "seal_predictions", "report_sealed")
        return {name: runpy.run_path(f"{folder}/{name}.py") for name in names}
    finally:
        sys.path.remove(folder)


@pytest.fixture(scope="module")
def runs() -> pl.DataFrame:
    return read_corpus("datasets/lab-2/corpus.parquet")


@pytest.fixture
def before(runs: pl.DataFrame, tmp_path: Path) -> Path:
    path = tmp_path / "before.parquet"
    write_corpus(runs.with_columns(post_pass_at_1=pl.lit(None, pl.Float64)), path, {})
    return path


@pytest.mark.parametrize(
    ("name", "seed"),
    [("lab-3", "seed: 31"), ("lab-4", "seed: 41"), ("lab-5", "seed: 51"), ("lab-search", "dials-hazel.yaml: 41")],
)
def test_the_random_recipes_of_a_plan_are_those_that_its_line_draws(
    programs: dict[str, Any], tmp_path: Path, name: str, seed: str
) -> None:
    plan = shipped_path(f"collectors/plans/{name}.yaml")
    programs["draw_recipes"]["main"]([str(plan), "--check"])
    other = tmp_path / "plan.yaml"
    text = plan.read_text()
    assert text.count(seed) == 1
    other.write_text(text.replace(seed, f"{seed}7"))
    with pytest.raises(RecipeError, match="is not what its line '# drawn: ' draws"):
        programs["draw_recipes"]["main"]([str(other), "--check"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "{seed: 1, recipes: 2, repeated: 0, bases: [a], world: wrods}",
            "world: expected one of dials, numbers, words,",
        ),
        (
            "{seed: 1, recipes: two, repeated: 0, bases: [a]}",
            "recipes: expected a whole number of at least 1, got 'two'",
        ),
        ("{seed: 1, recipes: 2, repeated: 0, bases: [a], apart: maybe}", "apart: expected true or false, got 'maybe'"),
        ("{trials: 3, seeds: [a.yaml]}", "seeds: expected a mapping"),
        ("{seed: 1", "is not YAML"),
    ],
)
def test_what_nothing_can_be_drawn_from_is_named(
    programs: dict[str, Any], tmp_path: Path, line: str, message: str
) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(f"name: x\n# drawn: {line}\n")
    with pytest.raises(RecipeError, match=message) as raised:
        programs["draw_recipes"]["main"]([str(plan)])
    assert str(plan) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_recipes_of_another_world_may_write_each_skill_its_own_way(programs: dict[str, Any]) -> None:
    drawn = [programs["draw_recipes"]["draw"](random.Random(seed), "words", True) for seed in range(30)]
    sources = [recipe.data["lab_data"]["sources"] for recipe in drawn]
    assert {source["world"] for one in sources for source in one} == {"words"}
    stepwise = [[source for source in one if "direct" not in source] for one in sources]
    assert any(len({str(source["lengths"]) for source in one}) > 1 for one in stepwise)
    assert all(abs(sum(source["share"] for source in one) - 1) < 0.1 for one in sources)


def test_drawn_trials_are_those_of_a_random_search(programs: dict[str, Any]) -> None:
    space = SearchPlan.from_yaml("collectors/searches/lab-mixture.yaml").space
    search = MixtureSearch(space, "models/lab-pilot", method="random", seed=round_seed(41, 1))
    base, drawn = programs["draw_recipes"]["trials_of"]("collectors/searches/lab-mixture.yaml", 3, 41)
    assert base == space.base.name
    for recipe in drawn:
        assert recipe.data == search.suggest().recipe.data


def test_a_seal_is_written_once_and_only_before_rl(programs: dict[str, Any], before: Path, tmp_path: Path) -> None:
    seal: Program = programs["seal_predictions"]["main"]
    out = tmp_path / "sealed"
    arguments = [str(before), "--only", "plain.*", "--out", str(out)]
    with pytest.raises(UsageError, match="expected NAME=FOLDER"):
        seal([*arguments, "--prior", "models/prior"])
    seal([*arguments, "--prior", f"shipped={shipped_path('models/prior')}"])
    sealed, manifest = pl.read_csv(out.with_suffix(".csv")), json.loads(out.with_suffix(".json").read_text())
    assert sealed["rule"].n_unique() == FREE_RULES + 1
    said = sealed.filter(pl.col("rule") == "prior alone, shipped")
    assert (said["low"] < said["predicted"]).all()
    assert (said["predicted"] < said["high"]).all()
    assert manifest["priors"] == {"shipped": manifest["prior"]}
    assert sealed["candidate"].n_unique() == manifest["candidates"] == len(manifest["measurements"])
    assert set(sealed["base_model"]) == {"plain"}
    with pytest.raises(UsageError, match="a seal is not written twice"):
        seal(arguments)
    with pytest.raises(CorpusError, match="has its score after RL"):
        seal([str(shipped_path("datasets/lab-2/corpus.parquet")), "--out", str(tmp_path / "late")])


def test_a_seal_is_held_against_what_happened(programs: dict[str, Any], before: Path, tmp_path: Path) -> None:
    out, page = tmp_path / "sealed", tmp_path / "page.md"
    programs["seal_predictions"]["main"](
        [str(before), "--learn", str(shipped_path("datasets/lab-pilot")), "--out", str(out)]
    )
    folder = shipped_path("datasets/lab-2")
    records = [str(path) for path in sorted(folder.glob("records-*.parquet"))]
    arguments = [f"{out}.csv", "--corpus", str(folder / "corpus.parquet"), "--records", *records, "--page", str(page)]
    report: Program = programs["report_sealed"]["main"]
    with pytest.raises(InvalidDataError, match="after its first RL run at"):
        report(arguments)  # these runs are older than this test
    manifest = json.loads(out.with_suffix(".json").read_text())
    out.with_suffix(".json").write_text(json.dumps(manifest | {"sealed_at": "2020-01-01T00:00:00+00:00"}))
    report([*arguments, "--trials", "1", "5", "1000"])
    text = page.read_text()
    assert "| chosen by | 1 | 5 |" in text
    assert "| Pass@64 |" in text
    assert "mixed, from lab-pilot" in text
    assert f"`{manifest['sha256'][:16]}`" in text

    other = shipped_path("datasets/lab-4")
    with pytest.raises(InvalidDataError, match="its default had another prior"):
        report([*arguments, "--with", str(shipped_path("datasets/lab-search"))])
    same = {"sealed_at": "2020-01-01T00:00:00+00:00", "prior": json.loads((other / "sealed.json").read_text())["prior"]}
    out.with_suffix(".json").write_text(json.dumps(manifest | same))
    report([*arguments, "--with", str(other)])
    assert "## With lab-4: 5 bases, the same default" in page.read_text()
    assert page.read_text().count("- **default against Pass@64**") == 2

    changed = out.with_suffix(".csv").read_text().replace("SFT Pass@1", "SFT Pass@2")
    out.with_suffix(".csv").write_text(changed)
    with pytest.raises(InvalidDataError, match="is not the file that was sealed"):
        report(arguments)
