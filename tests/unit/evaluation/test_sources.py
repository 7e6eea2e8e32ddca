"""Problems from files and from the hub: fields, golds where they stand, and what is refused."""

import json
import os

import polars as pl
import pytest
import yaml

from quagpredict.errors import RecipeError
from quagpredict.evaluation import check_suite, read_suite
from quagpredict.shipped import shipped_path

# One problem in the layout of each public copy; the texts are ours.
ROWS = {
    "math500.jsonl": {"problem": "1/2 of 1?", "answer": "\\frac{1}{2}", "level": 2, "unique_id": "test/a/1.json"},
    "aime_1983_2024.jsonl": {"id": "1983_AIME_1", "problem": "60?", "answer": "060"},
    "aime25.jsonl": {"id": "aime25-0", "problem": "70?", "expected_answer": "70"},
    "gsm8k_test.jsonl": {"question": "Two thousand?", "answer": "1000+1000=<<1000+1000=2000>>2,000\n#### 2,000"},
    "amc23.jsonl": {"id": 0, "problem": "27?", "answer": 27.0},
    "olympiadbench_math_en.jsonl": {"id": 1606, "question": "Which two?", "final_answer": ["1", "$\\sqrt{2}$"]},
    "minerva_math.jsonl": {"problem": "Time?", "solution": "Start:\n$t = \\boxed{4.5e33}$ erg", "idx": 0},
}


def suite_of(folder, *benchmarks, **changes):
    path = folder / "suite.yaml"
    content = {"name": "s", "benchmarks": list(benchmarks), "sampling": {"max_new_tokens": 8}, **changes}
    path.write_text(yaml.safe_dump(content))
    return read_suite(path)


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A data set repository as the hub has it: a card with configurations, and Parquet files."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "owner" / "gsm"
    (folder / "main").mkdir(parents=True)
    rows = [{"question": f"{at} + 1?", "answer": f"add\n#### {at + 1}"} for at in range(3)]
    pl.DataFrame(rows).write_parquet(folder / "main" / "test-00000-of-00001.parquet")
    pl.DataFrame(rows[:1]).write_parquet(folder / "main" / "train-00000-of-00001.parquet")
    card = {
        "configs": [
            {
                "config_name": "main",
                "data_files": [
                    {"split": "train", "path": "main/train-*"},
                    {"split": "test", "path": "main/test-*"},
                ],
            }
        ]
    }
    (folder / "README.md").write_text(f"---\n{yaml.safe_dump(card)}---\n# A card\n")
    return "owner/gsm"


ENTRY = {"name": "gsm", "question": "question", "answer": "answer", "answer_after": "####"}


def test_a_repository_is_read_by_configuration_and_split(repository, tmp_path):
    suite = suite_of(tmp_path, {**ENTRY, "hub": {"id": repository, "config": "main", "split": "test"}})
    assert [problem.answer for problem in suite.problems] == ["1", "2", "3"]
    train = suite_of(tmp_path, {**ENTRY, "hub": {"id": repository, "split": "train"}})
    assert len(train.problems) == 1
    # The same rows from a file give the same protocol: a suite counts by what it says.
    rows = [{"question": f"{at} + 1?", "answer": f"add\n#### {at + 1}"} for at in range(3)]
    (tmp_path / "gsm.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert suite_of(tmp_path, {**ENTRY, "path": "gsm.jsonl"}).eval_protocol_id == suite.eval_protocol_id


def test_held_out_solutions_come_from_the_hub_too(repository, tmp_path):
    held_out = {"hub": {"id": repository}, "prompt": "question", "completion": "answer", "limit": 2}
    suite = suite_of(tmp_path, {**ENTRY, "hub": repository}, held_out=held_out)
    assert [example.prompt for example in suite.held_out] == ["0 + 1?", "1 + 1?"]


@pytest.mark.parametrize(
    ("hub", "message"),
    [
        ({"id": "owner/gsm", "split": "validation"}, "split validation: cannot be read"),
        ({"id": "owner/gsm", "config": "other"}, "config other"),
        ({"id": "owner/missing"}, "hub owner/missing, split test: cannot be read"),
        ({"id": "owner/gsm", "subset": "main"}, "unknown key 'subset'"),
    ],
)
def test_what_is_not_in_the_repository_is_one_line(hub, message, repository, tmp_path):
    with pytest.raises(RecipeError, match=message) as refused:
        suite_of(tmp_path, {**ENTRY, "hub": hub})
    assert "\n" not in str(refused.value)


def test_the_local_suite_reads_the_layout_of_every_public_copy(tmp_path, monkeypatch):
    for name, row in ROWS.items():
        (tmp_path / name).write_text(json.dumps(row) + "\n")
    monkeypatch.setenv("QUAGPREDICT_BENCHMARKS", str(tmp_path))
    suite = read_suite(shipped_path("collectors/suites/paper-math-local.yaml"))
    golds = {problem.benchmark: problem.answer for problem in suite.problems}
    assert golds == {
        "math-500": "\\frac{1}{2}",
        "aime-1983-2024": "060",
        "aime-2025": "70",
        "gsm8k": "2,000",
        "amc": "27",
        "olympiadbench": "1, $\\sqrt{2}$",
        "minerva": "4.5e33",
    }
    assert check_suite(suite)["correct"].to_list() == [1] * 7


# The real files are nobody's to ship: where the environment names their folder there is one more test. The test above
# holds the formats in any case.
if "QUAGPREDICT_BENCHMARKS" in os.environ:

    def test_every_real_gold_is_read_and_graded_correct_when_stated():
        suite = read_suite(shipped_path("collectors/suites/paper-math-local.yaml"))
        found = check_suite(suite)
        assert suite.unreadable == ()
        assert found["not_correct"].list.len().to_list() == [0] * 7
        assert dict(found.select("benchmark", "correct").rows()) == {
            "math-500": 500,
            "aime-1983-2024": 932,
            "aime-2025": 30,
            "gsm8k": 1319,
            "amc": 40,
            "olympiadbench": 675,
            "minerva": 272,
        }


def test_the_hub_suite_names_the_same_benchmarks():
    suites = [
        yaml.safe_load(shipped_path(f"collectors/suites/{name}.yaml").read_text())
        for name in ("paper-math", "paper-math-local")
    ]
    names = [[entry["name"] for entry in suite["benchmarks"]] for suite in suites]
    assert names[0] == names[1]
    assert all({"id", "split"} <= set(entry["hub"]) for entry in suites[0]["benchmarks"])


def test_a_csv_with_several_question_columns_and_a_level_in_words(tmp_path):
    (tmp_path / "p.csv").write_text('ID,Body,Question,Answer,kind\nq1,"Two, and two.",How many?,4,Level 5\n')
    entry = {"name": "svamp", "path": "p.csv", "question": ["Body", "Question"], "answer": "Answer", "id": "ID"}
    (problem,) = suite_of(tmp_path, {**entry, "level": "kind"}).problems
    assert (problem.question, problem.answer, problem.level) == ("Two, and two.\nHow many?", "4", 5)


def test_a_benchmark_has_a_prompt_and_a_policy_of_its_own(tmp_path):
    (tmp_path / "p.json").write_text(json.dumps([{"problem": "50 % of 1?", "answer": "50%"}]))
    entry = {"name": "a", "path": "p.json"}
    own = {**entry, "name": "b", "prompt": "Short. {question}", "grading": {"percent": "value"}}
    suite = suite_of(tmp_path, entry, own, grading={"lists": "ordered"})
    assert [suite.prompt_of("x", name) for name in ("a", "b")] == ["x", "Short. x"]
    assert (suite.grading_of("a").percent, suite.grading_of("b").percent) == ("either", "value")
    assert suite.grading_of("b").lists == "ordered"
    ids = {
        suite.eval_protocol_id,
        suite_of(tmp_path, entry, {**own, "grading": {}}, grading={"lists": "ordered"}).eval_protocol_id,
        suite_of(tmp_path, entry, {**own, "prompt": "{question}"}, grading={"lists": "ordered"}).eval_protocol_id,
    }
    assert len(ids) == 3


def test_skipped_problems_are_named_with_their_reason(tmp_path):
    rows = [{"id": at, "problem": "?", "answer": "1"} for at in ("x", "y")]
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, rows)))
    entry = {"name": "b", "path": "p.jsonl", "id": "id"}
    suite = suite_of(tmp_path, {**entry, "skip": {"y": "the figure is missing"}})
    assert [problem.problem_id for problem in suite.problems] == ["x"]
    assert suite.skipped == ("b/y: the figure is missing",)
    with pytest.raises(RecipeError, match="skip names the problem 'z'"):
        suite_of(tmp_path, {**entry, "skip": {"z": "?"}})


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"answer_after": "####"}, "row 0: 'answer' has no '####'"),
        ({"answer_boxed": True}, r"row 0: 'answer' has no \\boxed"),
        ({"level": "kind"}, "a level must be a whole number"),
        ({"path": "${QUAGPREDICT_NOT_SET}/p.jsonl"}, "environment variable is not set"),
        ({"path": "list.json"}, "expected one record a row"),
        ({"hub": "a/b"}, "either 'lab' or 'path' or 'hub'"),
        ({"grading": {"percents": "value"}}, "unknown key 'percents'"),
        ({"grading": 3}, "expected a mapping"),
        ({"prompt": "no place"}, "must contain {question}"),
    ],
)
def test_a_bad_benchmark_is_refused_with_file_and_benchmark(entry, message, tmp_path):
    (tmp_path / "p.jsonl").write_text('{"problem": "1?", "answer": "1", "kind": "hard"}\n')
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(RecipeError, match=message) as refused:
        suite_of(tmp_path, {"name": "bench", "path": "p.jsonl", **entry})
    assert "benchmark bench" in str(refused.value)


@pytest.mark.parametrize(
    ("lab", "said"),
    [
        ({"problems": 0, "data": {}}, "problems must be a whole number from 1 to 1,000,000"),
        ({"problems": 2**62, "data": {}}, "problems must be a whole number from 1 to 1,000,000"),
        ({"problems": 3, "seed": {}, "data": {}}, "seed a whole number, got 3 and {}"),
        ({"problems": 3, "seed": 1.5, "data": {}}, "seed a whole number, got 3 and 1.5"),
        ({"problems": 3, "data": [1]}, r"data must be a mapping of keys to values, got \[1\]"),
        ({"problems": 3}, "lab needs 'problems'"),
    ],
    ids=str,
)
def test_a_lab_benchmark_of_odd_values_is_refused(lab, said, tmp_path):
    with pytest.raises(RecipeError, match=said):
        suite_of(tmp_path, {"name": "bench", "lab": lab})


def test_a_gold_that_is_not_graded_correct_is_seen(tmp_path):
    # A gold that holds no answer which a statement could repeat: the statement ends at the first sentence.
    rows = [{"problem": "?", "answer": "yes. but no"}, {"problem": "?", "answer": "7"}]
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, rows)))
    suite = suite_of(tmp_path, {"name": "b", "path": "p.jsonl"}, grading={"extraction": "stated"})
    (row,) = check_suite(suite).rows(named=True)
    assert (row["problems"], row["correct"]) == (2, 1)
    assert "yes. but no" in row["not_correct"][0]
