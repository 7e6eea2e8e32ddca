"""Suites: read from YAML, refused where they are wrong, and one protocol id for one way to measure."""

import json

import polars as pl
import pytest
import yaml

from quagpredict.errors import RecipeError
from quagpredict.evaluation import read_suite
from quagpredict.shipped import shipped_path

LAB = {
    "name": "tiny",
    "benchmarks": [{"name": "one", "lab": {"problems": 5, "seed": 1, "data": {"operators": "+-", "lengths": [1, 2]}}}],
    "held_out": {"lab": {"problems": 4, "seed": 2, "data": {"operators": "+-"}}},
    "sampling": {"max_new_tokens": 8},
    "grading": {"extraction": "last_digits", "digits": 3},
}


def suite_of(tmp_path, **changes):
    path = tmp_path / "suite.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in (LAB | changes).items() if value is not None}))
    return read_suite(path)


def test_a_lab_suite_is_a_pure_function_of_its_file(tmp_path):
    suite = suite_of(tmp_path)
    assert suite == suite_of(tmp_path)
    assert len(suite.problems) == 5
    assert len(suite.held_out) == 4
    assert {problem.level for problem in suite.problems} <= {1, 2}


def test_the_protocol_id_knows_every_setting_and_not_the_name(tmp_path):
    ids = {
        suite_of(tmp_path, **changes).eval_protocol_id
        for changes in [
            {},
            {"sampling": {"max_new_tokens": 9}},
            {"sampling": {"max_new_tokens": 8, "temperature": 0.9}},
            {"grading": {"extraction": "last_digits"}},
            {"prompt": "Q: {question}"},
            {"system_prompt": "Think."},
            {"held_out": None},
            {"held_out_max_tokens": 5},
            {"benchmarks": [{**LAB["benchmarks"][0], "name": "two"}]},
            {"benchmarks": [{**LAB["benchmarks"][0], "level": 3}]},
        ]
    }
    assert len(ids) == 10
    assert suite_of(tmp_path, name="other").eval_protocol_id == suite_of(tmp_path).eval_protocol_id


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_problems_come_from_a_file_with_its_own_column_names(tmp_path, kind):
    rows = [{"key": "p1", "q": "1+1?", "gold": 2, "hard": "3"}, {"key": "p2", "q": "2+2?", "gold": 4, "hard": "1"}]
    if kind == "jsonl":
        (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    else:
        pl.DataFrame(rows).write_parquet(tmp_path / "p.parquet")
    entry = {"name": "file", "path": f"p.{kind}", "question": "q", "answer": "gold", "id": "key", "level": "hard"}
    problems = suite_of(tmp_path, benchmarks=[entry], grading=None).problems
    assert [(one.problem_id, one.question, one.answer, one.level) for one in problems] == [
        ("p1", "1+1?", "2", 3),
        ("p2", "2+2?", "4", 1),
    ]
    assert len(suite_of(tmp_path, benchmarks=[{**entry, "limit": 1}], grading=None).problems) == 1


def test_a_problem_whose_gold_cannot_be_read_is_dropped_and_named(tmp_path):
    rows = [{"problem": "1+1?", "answer": "2"}, {"problem": "1+2?", "answer": "{"}]
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    suite = suite_of(tmp_path, benchmarks=[{"name": "file", "path": "p.jsonl"}], grading=None)
    assert [problem.answer for problem in suite.problems] == ["2"]
    assert len(suite.unreadable) == 1
    assert "file/00001" in suite.unreadable[0]
    assert (
        suite.eval_protocol_id
        == suite_of(
            tmp_path, benchmarks=[{"name": "file", "path": "p.jsonl", "limit": 1}], grading=None
        ).eval_protocol_id
    )


def test_held_out_solutions_come_from_a_file(tmp_path):
    (tmp_path / "h.jsonl").write_text(json.dumps({"prompt": "a", "completion": "b"}) + "\n")
    assert suite_of(tmp_path, held_out={"path": "h.jsonl"}).held_out[0].completion == "b"


def test_braces_in_a_question_stay(tmp_path):
    suite = suite_of(tmp_path, prompt="Put it in \\boxed{}. {question}")
    assert suite.prompt_of("What is {x}?") == "Put it in \\boxed{}. What is {x}?"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"benchmark": []}, "unknown key 'benchmark'"),
        ({"sampling": None}, "the key 'sampling' is missing"),
        ({"sampling": {"max_tokens": 3}}, "unknown key 'max_tokens'"),
        ({"sampling": {}}, "max_new_tokens"),
        ({"grading": {"digits": 3}}, "digits goes with"),
        ({"benchmarks": []}, "at least one entry"),
        ({"benchmarks": [{"name": "x"}]}, "either 'lab' or 'path'"),
        ({"benchmarks": [{"name": "x", "path": "missing.jsonl"}]}, r"missing\.jsonl"),
        ({"benchmarks": [{"name": "x", "path": "p.jsonl", "question": "nope"}]}, "no value for 'nope'"),
        ({"benchmarks": [LAB["benchmarks"][0], LAB["benchmarks"][0]]}, "appears twice"),
        ({"benchmarks": [{"name": "x", "lab": {"problems": 3}}]}, "lab needs"),
        ({"benchmarks": [{"name": "x", "lab": {"problems": 3, "data": {"length": 3}}}]}, "unknown key 'length'"),
        ({"prompt": "no place"}, "must contain {question}"),
        ({"held_out": {"path": "p.jsonl"}}, "no text in 'prompt'"),
    ],
)
def test_a_bad_suite_is_refused_with_file_and_key(tmp_path, changes, message):
    (tmp_path / "p.jsonl").write_text(json.dumps({"problem": "1?", "answer": "1"}) + "\n")
    with pytest.raises(RecipeError, match=message) as refused:
        suite_of(tmp_path, **changes)
    assert str(tmp_path) in str(refused.value)


def test_the_shipped_lab_suite_shares_no_problem_with_its_rl_prompts():
    from quagpredict.lab import Mixture

    suite = read_suite(shipped_path("collectors/suites/lab-pilot.yaml"))
    recipe = yaml.safe_load(shipped_path("training/recipes/lab/grpo.yaml").read_text())
    asked = {problem.question for problem in suite.problems} | {example.prompt for example in suite.held_out}
    trained = Mixture.from_mapping(recipe["lab_data"]).problems(512, split="rl", seed=recipe["lab_seed"])
    assert not asked & {problem.prompt for problem in trained}
    assert len(asked) == 320
