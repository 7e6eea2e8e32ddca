"""How samples were drawn: read from wherever a tool keeps it, held to agree, and seeds are no setting."""

import json

import polars as pl
import pytest

from quagpredict.answers import GradingPolicy
from quagpredict.cli import main
from quagpredict.errors import InvalidDataError, RecipeError
from quagpredict.importers import counts, import_run


def lines(path, records):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def text(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def verl(path):
    texts = [f"a long response {i} to its problem" for i in range(4)]
    return lines(
        path,
        [
            {"input": f"p{i // 2}", "output": texts[i], "gts": "1", "score": i % 2, "step": 0, "acc": i % 2}
            for i in range(4)
        ],
    )


HYDRA = """
actor_rollout_ref:
  rollout:
    temperature: 1.0
    val_kwargs: {top_k: -1, top_p: 0.7, temperature: 0.6, n: 2, do_sample: true}
data: {max_response_length: 4096, max_prompt_length: "${data.other}"}
"""


def test_verl_keeps_its_settings_in_hydras_config(tmp_path):
    file = verl(tmp_path / "run" / "validation" / "0.jsonl")
    bare = import_run("auto", [file], candidate="a")
    assert bare.protocol["settings"] == {}
    text(tmp_path / "run" / ".hydra" / "config.yaml", HYDRA)
    found = import_run("auto", [file], candidate="a")
    drawn = {"temperature": "0.6", "top_p": "0.7", "top_k": "-1.0", "do_sample": "True", "max_new_tokens": "4096.0"}
    assert found.protocol["settings"] == drawn
    text(tmp_path / "run" / ".hydra" / "config.yaml", HYDRA.replace("do_sample: true", "do_sample: false"))
    text(tmp_path / "run" / ".hydra" / "config.yaml", HYDRA.replace("temperature: 0.6", "temperature: 0"))
    with pytest.raises(InvalidDataError, match="greedy decoding"):
        import_run("auto", [file], candidate="a")
    text(tmp_path / "run" / ".hydra" / "config.yaml", "a: [")
    with pytest.raises(RecipeError, match=r"config\.yaml.*not valid YAML"):
        import_run("auto", [file], candidate="a")


def test_tables_of_trl_in_a_run_of_weights_and_biases_have_its_config(tmp_path):
    run = tmp_path / "wandb" / "run-20260101_000000-abc" / "files"
    columns = ["step", "prompt", "completion", "reward_correct", "advantage"]
    data = [[0, f"p{i // 2}", f"a long completion {i}", float(i % 2), 0.0] for i in range(4)]
    file = text(run / "media" / "table" / "completions_0_x.table.json", json.dumps({"columns": columns, "data": data}))
    assert import_run("trl", [file], candidate="a").protocol["settings"] == {}
    text(run / "wandb-metadata.json", "{}")
    config = {"wandb_version": 1, "temperature": {"desc": None, "value": 0.9}, "seed": {"value": 3}}
    text(run / "config.yaml", json.dumps(config | {"max_completion_length": {"value": 512}, "min_p": {"value": None}}))
    found = import_run("trl", [file], candidate="a")
    assert found.protocol["settings"] == {"temperature": "0.9", "max_new_tokens": "512.0"}


def test_the_validation_of_nemo_rl_has_the_config_of_the_run_beside_it(tmp_path):
    records = [
        {
            "content": [
                [{"role": "user", "content": f"p{i // 2}"}, {"role": "assistant", "content": f"a long one {i}"}]
            ],
            "rewards": [float(i % 2)],
            "idx": i,
        }
        for i in range(4)
    ]
    file = lines(tmp_path / "exp_001" / "val_data_step0.jsonl", records)
    run = tmp_path / "exp_001" / "wandb" / "wandb" / "run-1-a" / "files"
    text(run / "wandb-metadata.json", "{}")
    policy = {"value": {"generation": {"temperature": 1.0, "top_p": 1.0, "top_k": None, "max_new_tokens": 512}}}
    text(run / "config.yaml", json.dumps({"policy": policy}))
    drawn = {"temperature": "1.0", "top_p": "1.0", "max_new_tokens": "512.0"}
    assert import_run("auto", [file], candidate="a").protocol["settings"] == drawn
    # Of two runs nobody can tell which it was.
    text(run.parents[1] / "run-2-b" / "files" / "wandb-metadata.json", "{}")
    assert import_run("auto", [file], candidate="a").protocol["settings"] == {}


def test_nemo_skills_says_which_responses_were_cut(tmp_path):
    records = [
        {"id": i, "generation": f"So it is \\boxed{{{i}}}", "expected_answer": str(i), "is_correct": True}
        | ({"finish_reason": "length" if i else "stop"} if i < 2 else {})
        for i in range(3)
    ]
    file = lines(tmp_path / "toy" / "output-rs0.jsonl", records)
    found = import_run("auto", [file], candidate="a", regrade=GradingPolicy())
    assert found.problems.select("problem_id", "c", "truncated").rows() == [("0", 1, 0), ("1", 0, 1), ("2", 1, 0)]


def test_the_prompt_in_a_files_name_is_a_setting(tmp_path):
    def run(prompt, seed):
        record = {"idx": 0, "gt": "1", "code": [f"a long text of {prompt} {seed}"], "score": [True]}
        return lines(tmp_path / "aime" / f"test_{prompt}_-1_seed{seed}_t0.6_s0_e-1.jsonl", [record])

    found = import_run("auto", [run("qwen25-math-cot", 0), run("qwen25-math-cot", 1)], candidate="a")
    assert found.protocol["settings"] == {"prompt_type": "qwen25-math-cot", "temperature": "0.6"}
    with pytest.raises(
        InvalidDataError, match=r"not drawn alike: prompt_type is 'qwen25-math-cot' in .* and 'direct' in"
    ):
        import_run("auto", [run("qwen25-math-cot", 0), run("direct", 1)], candidate="a")


def test_seeds_differ_within_a_run_and_are_no_protocol(tmp_path):
    def seed(number):
        arguments = {"gen_args_0": {"arg_0": "p", "arg_1": {"temperature": 0.6, "seed": number}}}
        record = {"doc_id": 0, "target": "4", "arguments": arguments, "resps": [[f"a long response of seed {number}"]]}
        record |= {"filtered_resps": ["4"], "filter": "none", "metrics": ["acc"], "acc": float(number % 2)}
        return lines(tmp_path / f"seed{number}" / f"samples_t_2026-01-0{number + 1}T00-00-00.1.jsonl", [record])

    both = import_run("auto", [seed(0), seed(1)], candidate="a")
    assert both.problems.select("n", "c").row(0) == (2, 1)
    assert both.eval_protocol_id == import_run("auto", [seed(2)], candidate="b").eval_protocol_id
    assert both.protocol["settings"] == {"temperature": "0.6"}


def test_fewer_samples_than_the_tool_says_are_a_partial_run(tmp_path):
    records = [
        {"example_id": i // 2, "completion": f"a long completion {i}", "reward": float(i % 2), "error": None}
        for i in range(4)
    ]
    file = lines(tmp_path / "results.jsonl", records)
    metadata = {"env_id": "e", "num_examples": 2, "rollouts_per_example": 4, "pass_threshold": 0.5}
    text(tmp_path / "metadata.json", json.dumps(metadata))
    with pytest.raises(InvalidDataError, match=r"hold 2 samples of each problem of 'e', .*metadata\.json says 4"):
        import_run("auto", [file], candidate="a")
    assert import_run("auto", [file], candidate="a", allow_ragged=True).problems["n"].to_list() == [2, 2]
    text(tmp_path / "metadata.json", json.dumps(metadata | {"rollouts_per_example": 2}))
    assert import_run("auto", [file], candidate="a").problems["n"].to_list() == [2, 2]


def test_a_partial_run_is_the_reason_for_another_number(tmp_path):
    records = [
        {"doc_id": i, "target": "4", "arguments": {}, "resps": [["4"]], "filtered_resps": ["4"], "filter": "none"}
        | {"metrics": ["acc"], "acc": 1.0}
        for i in range(2)
    ]
    file = lines(tmp_path / "samples_t_2026-01-01T00-00-00.1.jsonl", records)
    results = {"results": {"t": {"acc,none": 0.5}}, "n-samples": {"t": {"effective": 4}}}
    text(tmp_path / "results_2026-01-01T00-00-00.1.json", json.dumps(results))
    found = import_run("auto", [file], candidate="a", allow_ragged=True)
    assert [one.why for one in found.audit.differences] == ["the tool's is over 4 problems, and 2 of them are here"]


@pytest.mark.parametrize("name", ["pass@4", "pass_at_10", "maj@4", "pass@k", "pass@21"])
def test_the_best_of_several_responses_is_no_verdict_on_each(name, tmp_path):
    texts = [f"a long response: it must be \\boxed{{{i + 1}}}" for i in range(4)]
    record = {
        "doc_id": 0,
        "target": "4",
        "arguments": {},
        "resps": [texts],
        "filtered_resps": [texts],
        "filter": "none",
    }
    file = lines(tmp_path / "samples_t_2026-01-01T00-00-00.1.jsonl", [record | {"metrics": [name], name: 1.0}])
    with pytest.raises(InvalidDataError, match="do not say how many are correct: `regrade` counts them"):
        import_run("auto", [file], candidate="a")
    found = import_run("auto", [file], candidate="a", regrade=GradingPolicy())
    assert found.problems.select("n", "c").row(0) == (4, 1)


def test_a_fault_of_a_reader_is_not_called_one_of_the_file(tmp_path, monkeypatch, capsys):
    def broken(paths):
        raise TypeError("a slip of ours")

    monkeypatch.setattr(counts, "read", broken)
    file = tmp_path / "c.csv"
    file.write_text("id,n,c\na,4,2\n")
    with pytest.raises(TypeError) as raised:
        import_run("counts", [file], candidate="a")
    assert raised.value.__notes__ == [f"while {file} was read as counts"]
    assert main(["import", "counts", str(file), "--candidate", "a", "--out", str(tmp_path / "o.parquet")]) == 1
    said = capsys.readouterr().err
    assert "a fault of quagpredict" in said
    assert "a slip of ours" in said
    assert "c.csv was read as counts" in said

    def panicked(paths):
        raise pl.exceptions.ComputeError("bad bytes")

    monkeypatch.setattr(counts, "read", panicked)
    with pytest.raises(InvalidDataError, match=r"c\.csv: not as counts writes it \(bad bytes\)"):
        import_run("counts", [file], candidate="a")


def test_logs_of_two_models_are_no_run_of_one(lm_eval):
    """Such as a folder with the logs of every checkpoint, given as one candidate."""
    results = next(lm_eval.parent.glob("results_*.json"))
    other = lm_eval.parent / "other" / lm_eval.name
    other.parent.mkdir()
    other.write_bytes(lm_eval.read_bytes())
    for name, path in (("ckpt/a", results), ("ckpt/b", other.parent / results.name)):
        path.write_text(json.dumps(json.loads(results.read_text()) | {"model_name": name}))
    policy = GradingPolicy(symbolic=False)
    with pytest.raises(InvalidDataError, match=r"model is 'ckpt/a' in .* and 'ckpt/b' in .*`allow_mixed_settings`"):
        import_run("auto", [lm_eval, other], candidate="a", regrade=policy)
    alone = [import_run("auto", [path], candidate="a", regrade=policy) for path in (lm_eval, other)]
    assert alone[0].eval_protocol_id == alone[1].eval_protocol_id
