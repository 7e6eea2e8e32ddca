"""Samples that results ask for, by the real evaluator: what was drawn first is used, and only the rest is drawn."""

from pathlib import Path

import yaml

from quagpredict.collection.collecting import collect
from quagpredict.collection.ledger import read_ledger
from quagpredict.corpus import read_corpus
from quagpredict.evaluation import read_suite, score_checkpoint
from quagpredict.plans.plan import Plan
from quagpredict.shipped import shipped_path

EASY = {"operators": "+-", "lengths": [1, 1]}


def test_more_samples_go_on_from_the_first(tmp_path: Path) -> None:
    suite = {
        "name": "easy",
        "benchmarks": [{"name": "one", "lab": {"problems": 12, "seed": 1, "data": EASY}}],
        "held_out": {"lab": {"problems": 8, "seed": 2, "data": EASY}},
        "sampling": {"max_new_tokens": 8},
        "grading": {"extraction": "last_digits", "digits": 3},
    }
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(suite))
    base = str(shipped_path("datasets/lab-pilot/bases/weak"))
    grid = {"data": ["one"], "unique_examples": [32], "learning_rate": [1.0e-4], "seed": [0, 1]}
    plan = {
        "name": "auto",
        "bases": {"weak": {"family": "qwen3", "model_name_or_path": base}},
        "data": {"one": {"lab_data": EASY}},
        "sft": {"recipe": "training/recipes/lab/sft.yaml"},
        "evaluation": {
            "suite": str(tmp_path / "suite.yaml"),
            "samples_before": {"first": 2, "most": 4, "top": 1},
            "samples_after": 4,
        },
        # Two seeds of one recipe: nobody can say which is better.
        "candidates": [{"base": ["weak"], **grid, "epochs": [1], "scenario": "instance-level"}],
        "launch": {"mode": "fork", "threads": 1},
    }
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan))
    work = tmp_path / "work"
    summary = collect(Plan.from_yaml(tmp_path / "plan.yaml"), work)
    assert (summary.failed, summary.left, summary.rows) == ((), 0, 2)
    taken = [attempt.record.results for attempt in read_ledger(work / "ledger.jsonl") if "measure/" in attempt.stage]
    names = [f"weak.one-32x1-lr0.0001-s{seed}" for seed in (0, 1)]
    assert [found["more"] for found in taken] == [{name: f"evaluate-pre/{name}@4" for name in names}, {}]
    rows = read_corpus(work / "corpus.parquet")
    assert rows["pre_samples_per_problem"].to_list() == [4, 4]
    # The same as if four samples had been drawn at once, and the first two of each problem were not drawn again.
    assert rows["eval_protocol_id"].unique().to_list() == [read_suite(tmp_path / "suite.yaml").eval_protocol_id]
    at_once = score_checkpoint(work / "stages" / "sft" / names[0], tmp_path / "suite.yaml", samples=4)
    assert rows["pre_pass_at_2"][0] == at_once.measurement["pass_at_2"]
    stage = work / "stages" / "evaluate-pre" / names[0]
    first = {path.name for path in (stage / "samples").rglob("part-*")}
    more = {path.name for path in (stage.with_name(f"{names[0]}@4") / "samples").rglob("part-*")}
    assert first
    assert first < more
