"""What trainers and environments leave: small files written as each tool's own code writes them."""

import json

import pandas as pd
import pytest

from quagpredict.answers import GradingPolicy
from quagpredict.errors import InvalidDataError, UsageError
from quagpredict.importers import detect, import_run

PROMPTS = ("What is 2 + 2? " * 10, "What is 3 + 3? " * 10)
REWARDS = ((1.0, 0.0, 1.0), (0.0, 0.0, 1.0))
COUNTS = [(3, 2), (3, 1)]


def samples():
    for number, (prompt, rewards) in enumerate(zip(PROMPTS, REWARDS, strict=True)):
        for place, reward in enumerate(rewards):
            yield number, prompt, f"a long response {place} to {number}: \\boxed{{{place}}}", reward


def counts(found):
    return list(zip(found.problems["n"], found.problems["c"], strict=True))


def lines(path, records):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def trl_table(step=0, messages=False, **more):
    say = (lambda role, text: [{"role": role, "content": text}]) if messages else (lambda role, text: text)
    rows = [
        {"step": step, "prompt": say("user", prompt), "completion": say("assistant", text), "accuracy_reward": reward}
        | {name: value(number) for name, value in more.items()}
        | {"advantage": reward - 0.5}
        for number, prompt, text, reward in samples()
    ]
    return pd.DataFrame(rows)  # as TRL writes it


# TRL


@pytest.mark.parametrize("messages", [False, True])
def test_trl_completions(tmp_path, messages):
    file = tmp_path / "completions" / "completions_00000.parquet"
    file.parent.mkdir()
    trl_table(messages=messages, solution=lambda number: str(number)).to_parquet(file)
    assert detect([file]) == "trl"
    with pytest.raises(InvalidDataError, match="found accuracy_reward, solution: choose one"):
        import_run("auto", [file], candidate="a")
    found = import_run("auto", [file.parent], candidate="a", metric="accuracy_reward")
    assert counts(found) == COUNTS
    assert found.problems["problem_id"].str.starts_with("prompt-").all()
    assert any("of the policy after N steps" in note for note in found.audit.notes)
    again = import_run("trl", [file], candidate="a", metric="accuracy_reward", gold="solution", regrade=GradingPolicy())
    assert counts(again) == [(3, 1), (3, 1)]


def test_trl_steps_are_not_seeds(tmp_path):
    ids = set()
    for step in (0, 10):
        file = tmp_path / f"completions_{step:05d}.parquet"
        trl_table(step, format_reward=lambda _: 0.25).to_parquet(file)
        with pytest.raises(
            InvalidDataError, match="expected one column of rewards, found accuracy_reward, format_reward"
        ):
            import_run("auto", [file], candidate="a")
        ids.add(import_run("auto", [file], candidate="a", metric="accuracy_reward").eval_protocol_id)
    assert len(ids) == 1
    with pytest.raises(InvalidDataError, match=r"not drawn alike: step is"):
        import_run("auto", [tmp_path], candidate="a", metric="accuracy_reward")
    with pytest.raises(InvalidDataError, match="`threshold`"):
        import_run("auto", [file], candidate="a", metric="format_reward")
    pd.concat([trl_table(0), trl_table(10)]).to_parquet(file)
    with pytest.raises(InvalidDataError, match="completions of one step, got those of 0, 10"):
        import_run("auto", [file], candidate="a")


def test_trl_completions_from_weights_and_biases(tmp_path):
    table = trl_table()
    file = tmp_path / "completions_0_abc.table.json"
    columns = {"_type": "table", "columns": list(table.columns), "data": table.to_numpy().tolist()}
    file.write_text(json.dumps(columns | {"ncols": table.shape[1], "nrows": len(table), "column_types": {}}))
    assert detect([file]) == "trl"
    assert counts(import_run("auto", [file], candidate="a")) == COUNTS
    table.to_csv(tmp_path / "export.csv", index=False)
    assert counts(import_run("auto", [tmp_path / "export.csv"], candidate="a")) == COUNTS
    file.write_text(json.dumps({"columns": ["a"], "data": [[1, 2]]}))
    with pytest.raises(InvalidDataError, match="a row must have 1 values"):
        import_run("samples", [file], candidate="a", id="a")


# verl


def verl(step=0, **more):
    for number, prompt, text, reward in samples():
        record = {"input": prompt, "output": text, "gts": str(number), "score": reward * 2 - 1, "step": step}
        yield record | {"reward": reward * 2 - 1} | {name: value(reward) for name, value in more.items()}


def test_verl_dumps(tmp_path):
    file = lines(tmp_path / "val" / "0.jsonl", verl(acc=lambda reward: reward == 1.0))
    found = import_run("auto", [file], candidate="a")
    assert (found.format, counts(found)) == ("verl", COUNTS)
    assert found.problems["benchmark"].to_list() == ["verl"] * 2
    assert counts(import_run("verl", [file], candidate="a", metric="score", threshold=0.0)) == COUNTS
    assert counts(import_run("verl", [file], candidate="a", regrade=GradingPolicy())) == [(3, 1), (3, 1)]
    with pytest.raises(InvalidDataError, match="no record has the key 'pred'; there are input, output, gts"):
        import_run("verl", [file], candidate="a", metric="pred")


def test_verl_without_accuracy_needs_a_threshold(tmp_path):
    file = lines(tmp_path / "0.jsonl", verl(data_source=lambda _: "openai/gsm8k"))
    with pytest.raises(InvalidDataError, match=r"'score' is '-1.*`threshold`"):
        import_run("auto", [file], candidate="a")
    found = import_run("auto", [file], candidate="a", threshold=1)
    assert found.problems["benchmark"].to_list() == ["openai/gsm8k"] * 2
    other = lines(tmp_path / "10.jsonl", verl(step=10))
    with pytest.raises(InvalidDataError, match=r"not drawn alike: step is '0' in .* and '10' in"):
        import_run("auto", [file, other], candidate="a", threshold=1)


# verifiers, prime-rl


def verifiers(failed=(), truncated=()):
    for place, (number, prompt, text, reward) in enumerate(samples()):
        yield {
            "example_id": number, "prompt": [{"role": "user", "content": prompt}],
            "completion": [{"role": "assistant", "content": text}], "answer": str(number),
            "reward": 0.0 if place in failed else reward, "error": {"error": "Timeout"} if place in failed else None,
            "timing": {"total_ms": 1.0}, "is_completed": True, "is_truncated": place in truncated,
            "metrics": {"f": 1.0}, "f": 1.0,
        }  # fmt: skip


METADATA = {
    "env_id": "aime2025", "env_args": {}, "model": "m", "num_examples": 2, "rollouts_per_example": 3, "avg_reward": 0.5,
    "sampling_args": {"temperature": 0.6, "max_tokens": 8192}, "pass_threshold": 0.5, "pass_at_k": {"1": 0.5},
}  # fmt: skip


def test_verifiers_results(tmp_path):
    file = lines(tmp_path / "results.jsonl", verifiers(truncated=(1,)))
    bare = import_run("auto", [file], candidate="a")
    assert (bare.format, counts(bare)) == ("verifiers", COUNTS)
    assert bare.problems["problem_id"].to_list() == ["0", "1"]
    (tmp_path / "metadata.json").write_text(json.dumps(METADATA))
    found = import_run("auto", [tmp_path], candidate="a")
    assert found.problems["benchmark"].to_list() == ["aime2025"] * 2
    assert not any("temperature" in note for note in found.audit.notes)
    assert [(one.k, one.agrees) for one in found.audit.differences] == [(1, True)]
    again = import_run("auto", [file], candidate="a", regrade=GradingPolicy())
    assert again.problems["truncated"].to_list() == [1, 0]
    assert counts(again) == [(3, 1), (3, 1)]


def test_verifiers_failures_are_not_wrong_answers(tmp_path):
    file = lines(tmp_path / "results.jsonl", verifiers(failed=(0,)))
    with pytest.raises(InvalidDataError, match="1 of 6 rollouts ended with an error"):
        import_run("auto", [file], candidate="a")
    assert counts(import_run("auto", [file], candidate="a", allow_ragged=True)) == [(2, 1), (3, 1)]
    file = lines(tmp_path / "results.jsonl", verifiers(failed=(0, 3)))
    with pytest.raises(InvalidDataError, match="2 of 6 rollouts ended with an error"):
        import_run("auto", [file], candidate="a")
    (tmp_path / "metadata.json").write_text(json.dumps(METADATA | {"num_examples": 5}))
    file = lines(tmp_path / "results.jsonl", verifiers())
    with pytest.raises(InvalidDataError, match="hold 2 of the 5 problems of 'aime2025'"):
        import_run("auto", [file], candidate="a")


# EvalPlus


def evalplus(name, statuses, **more):
    tasks = {
        f"{name}/{task}": [
            {"task_id": f"{name}/{task}", "solution": f"def f():\n    return {task} + {place} * sum(values)",
             "base_status": base, "plus_status": plus, "base_fail_tests": [], "plus_fail_tests": []}
            for place, (base, plus) in enumerate(found)
        ]
        for task, found in enumerate(statuses)
    }  # fmt: skip
    return {"date": "2026-01-31 12:00", "hash": "abc", "eval": tasks} | more


def test_evalplus_results(tmp_path):
    statuses = [[("pass", "pass"), ("pass", "fail")], [("fail", "pass"), ("timeout", "fail")]]
    reported = {"pass_at_k": {"base": {"pass@1": 0.5}, "plus": {"pass@1": 0.25}}}
    file = tmp_path / "model_vllm_temp_0.8_eval_results.json"
    file.write_text(json.dumps(evalplus("HumanEval", statuses, **reported)))
    found = import_run("auto", [file], candidate="a")
    assert (found.format, counts(found)) == ("evalplus", [(2, 1), (2, 0)])
    assert found.problems["benchmark"].to_list() == ["HumanEval"] * 2
    assert found.protocol["settings"] == {"temperature": "0.8"}
    base = import_run("evalplus", [file], candidate="a", metric="base")
    assert counts(base) == [(2, 2), (2, 0)]
    assert base.eval_protocol_id != found.eval_protocol_id
    assert [one.agrees for one in (*found.audit.differences, *base.audit.differences)] == [True, True]
    with pytest.raises(UsageError, match="plus or base, got 'x'"):
        import_run("evalplus", [file], candidate="a", metric="x")
    file.write_text(json.dumps(evalplus("Mbpp", [[("pass", None), ("fail", None)]])))
    assert counts(import_run("auto", [file], candidate="a")) == [(2, 1)]
    with pytest.raises(InvalidDataError, match="the plus tests were not run on a sample of 'Mbpp/0'"):
        import_run("evalplus", [file], candidate="a", metric="plus")
    file.write_text(json.dumps({"eval": {"HumanEval/0": {"nfiles": 1, "base": [["pass", []]]}}}))
    with pytest.raises(InvalidDataError, match="a list with a record a sample"):
        import_run("auto", [file], candidate="a")


# NeMo RL


def test_nemo_rl_validation(tmp_path):
    records = [
        {"content": [[{"role": "user", "content": prompt}, {"role": "assistant", "content": text}]],
         "rewards": [reward], "idx": place}
        for place, (_, prompt, text, reward) in enumerate(samples())
    ]  # fmt: skip
    file = lines(tmp_path / "val_data_step0.jsonl", records)
    found = import_run("auto", [file], candidate="a")
    assert (found.format, counts(found)) == ("nemo-rl", COUNTS)
    other = lines(tmp_path / "val_data_step25.jsonl", records)
    with pytest.raises(InvalidDataError, match=r"not drawn alike: step is '0' in .* and '25' in"):
        import_run("auto", [file, other], candidate="a")
    lines(file, [{"content": ["one text"], "rewards": [1.0], "idx": 0}])
    with pytest.raises(InvalidDataError, match="must be messages with roles"):
        import_run("auto", [file], candidate="a")


def test_nemo_rl_evaluation(tmp_path):
    data = [
        {"prompt": prompt, "response": text, "reward": reward, "message_log": "[]", "extra_env_info": "{}",
         "sample_index": place}
        for place, (_, prompt, text, reward) in enumerate(samples())
    ]  # fmt: skip
    (tmp_path / "evaluation_data.json").write_text(json.dumps({"evaluation_data": data}))
    bare = import_run("auto", [tmp_path / "evaluation_data.json"], candidate="a")
    assert (bare.format, counts(bare)) == ("nemo-rl", COUNTS)
    config = {
        "model_name": "m",
        "dataset_name": "aime2025",
        "metric": "pass@k",
        "k_value": 1,
        "num_tests_per_prompt": 3,
    }
    (tmp_path / "config.json").write_text(json.dumps(config | {"temperature": 1.0, "top_p": 1.0, "top_k": None}))
    found = import_run("auto", [tmp_path], candidate="a")
    assert found.problems["benchmark"].to_list() == ["aime2025"] * 2
    assert found.protocol["settings"] == {"temperature": "1.0", "top_p": "1.0"}
