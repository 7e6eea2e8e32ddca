# ruff: noqa: E501
"""Small files in the formats of other tools, written as their code writes them."""

import json

import polars as pl
import pytest

DATE = "2026-01-31T12-00-00.000000"
WRONG = "I thought about it for quite a while, and so the final answer must be \\boxed{%d}."
LONG = "Let us add the two numbers step by step, number {}: the sum is \\boxed{{{}}}."


def write_lines(path, records):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def texts(answers):
    return [LONG.format(number, answer) for number, answer in enumerate(answers)]


@pytest.fixture
def lm_eval(tmp_path):
    """Two documents, two filters, four repeats; the verdict is on the first response alone."""

    def record(doc_id, answers, filter, value):
        return {
            "doc_id": doc_id, "doc": {"question": "2+2"}, "target": "4",
            "arguments": {"gen_args_0": {"arg_0": "2+2=", "arg_1": {"temperature": 0.6, "do_sample": True, "until": []}}},
            "resps": [texts(answers)], "filtered_resps": [str(answers[0])], "filter": filter, "metrics": ["exact_match"],
            "doc_hash": "a", "prompt_hash": "b", "target_hash": "c", "exact_match": value,
        }  # fmt: skip

    records = [
        record(doc, answers, filter, value)
        for filter in ("strict-match", "flexible-extract")
        for doc, answers, value in ((0, [4, 5, 5, 5], 1.0), (1, [4, 4, 4, 6], 1.0))
    ]
    results = {"results": {"toy": {"alias": "toy", "exact_match,strict-match": 1.0}}}
    (tmp_path / f"results_{DATE}.json").write_text(json.dumps(results))
    return write_lines(tmp_path / f"samples_toy_{DATE}.jsonl", records)


@pytest.fixture
def lighteval(tmp_path):
    """One task with pass@1 over four samples; details, results."""
    details = tmp_path / "details" / "org" / "model" / DATE / f"details_lighteval|toy|0_{DATE}.parquet"
    results = tmp_path / "results" / "org" / "model" / f"results_{DATE}.json"
    details.parent.mkdir(parents=True)
    results.parent.mkdir(parents=True)
    rows = [
        {
            "doc": {"id": name, "query": "2+2", "choices": ["4"], "gold_index": 0},
            "metric": {"pass@k:k=1&n=4": value},
            "model_response": {"text": texts(answers), "input_tokens": [1]},
        }
        for name, answers, value in (("p", [4, 5, 5, 5], 0.25), ("q", [4, 4, 4, 6], 0.75))
    ]
    pl.DataFrame(rows).write_parquet(details)
    general = {"model_config": {"generation_parameters": {"temperature": 0.6, "top_p": 0.95}}}
    shown = {"lighteval|toy|0": {"pass@k:k=1&n=4": 0.5}}
    results.write_text(json.dumps({"config_general": general, "results": shown}))
    return details


@pytest.fixture
def nemo_skills(tmp_path):
    """Two seeds of two problems and metrics.json: pass@2 is the best of the first two."""
    folder = tmp_path / "eval" / "toy"
    for seed, answers in enumerate(([4, 5], [6, 5], [5, 5])):
        records = [
            {"problem": problem, "expected_answer": "4", "generation": text, "predicted_answer": str(answer),
             "is_correct": answer == 4, "num_generated_tokens": 9}
            for problem, answer, text in zip(("a", "b"), answers, [f"seed {seed}, {one}" for one in texts(answers)], strict=True)
        ]  # fmt: skip
        write_lines(folder / f"output-rs{seed}.jsonl", records)
    metrics = {
        "toy": {"pass@2": {"num_entries": 2, "symbolic_correct": 50.0}, "pass@1[3]": {"symbolic_correct": 16.67}}
    }
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return sorted(folder.glob("output-rs*.jsonl"))


@pytest.fixture
def qwen_math(tmp_path):
    """Two problems of four samples; acc is of the first column."""
    file = tmp_path / "out" / "math500" / "test_cot_-1_seed0_t0.6_s0_e-1.jsonl"
    records = [
        {"idx": idx, "question": "2+2", "gt": "4", "level": 1, "code": texts(answers), "pred": list(map(str, answers)),
         "report": [None] * 4, "score": [answer == 4 for answer in answers]}
        for idx, answers in ((0, [4, 5, 5, 5]), (1, [4, 4, 4, 6]))
    ]  # fmt: skip
    write_lines(file, records)
    file.with_name(f"{file.stem}_cot_metrics.json").write_text(json.dumps({"num_samples": 2, "acc": 100.0}))
    return file


@pytest.fixture
def human_eval(tmp_path):
    records = [
        {"task_id": f"HumanEval/{task}", "completion": f"    return {task} + {number} + sum(values)", "result": "passed",
         "passed": number < task}
        for task in (1, 2) for number in range(3)
    ]  # fmt: skip
    return write_lines(tmp_path / "samples.jsonl_results.jsonl", records)
