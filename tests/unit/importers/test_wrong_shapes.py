"""Files whose JSON has other shapes than the tool's: an error that names the file, or a result, never a traceback."""

import gzip
import json
import random
from pathlib import Path

import pytest

from quagpredict.answers import GradingPolicy
from quagpredict.errors import InvalidDataError, QuagpredictError
from quagpredict.importers import import_run

MUTATIONS = 12  # of each format
TOY = Path(__file__).parent / "files" / "inspect_toy.json"
VALUES = (
    None, True, 0, -1, 2.5, 1e308, float("nan"), "", "x", [], [[]], [None], {}, {"a": 1}, 10**30, "1" * 50, ["a", 1],
    [{"role": 1}],
)  # fmt: skip


def numbered(count, make):
    return [make(number) for number in range(count)]


def lm_eval(doc):
    arguments = {"gen_args_0": {"arg_0": "p", "arg_1": {"temperature": 0.6}}}
    texts = [f"a long response {i} to {doc}" for i in range(2)]
    record = {"doc_id": doc, "target": "4", "arguments": arguments, "resps": [texts], "filtered_resps": [texts]}
    return record | {"filter": "none", "metrics": ["pass@1"], "pass@1": 0.5}


# Format -> name of the file, its content, and the name and content of the file beside it.
FILES = {
    "lm-eval": (
        "samples_t_2026-01-01T00-00-00.1.jsonl", numbered(3, lm_eval), "results_2026-01-01T00-00-00.1.json",
        {"results": {"t": {"pass@1,none": 0.5}}, "n-samples": {"t": {"effective": 3}},
         "configs": {"t": {"generation_kwargs": {"temperature": 0.6}}}},
    ),
    "inspect": ("log.json", json.loads(TOY.read_text()), None, None),
    "nemo-skills": (
        "output-rs0.jsonl",
        numbered(3, lambda i: {"id": i, "generation": f"text {i}", "expected_answer": "1", "is_correct": True}),
        "metrics.json", {"toy": {"pass@1": {"num_entries": 3, "symbolic_correct": 100.0}}},
    ),
    "qwen-math": (
        "test_x_-1_seed0_t0.6_s0_e-1.jsonl",
        numbered(3, lambda i: {"idx": i, "gt": "1", "code": [f"a {i}", f"b {i}"], "score": [True, False]}),
        "test_x_-1_seed0_t0.6_s0_e-1_x_metrics.json", {"num_samples": 3, "acc": 100.0},
    ),
    "human-eval": (
        "r.jsonl", numbered(4, lambda i: {"task_id": f"H/{i // 2}", "completion": f"text {i}", "passed": True}),
        None, None,
    ),
    "evalplus": (
        "e_temp_0.8_eval_results.json",
        {"eval": {f"H/{i}": [{"solution": "s", "base_status": "pass", "plus_status": "fail"}] * 2 for i in range(2)},
         "pass_at_k": {"base": {"pass@1": 1.0}, "plus": {"pass@1": 0.0}}}, None, None,
    ),
    "verl": (
        "0.jsonl",
        numbered(4, lambda i: {"input": f"p{i // 2}", "output": f"r{i}", "gts": "1", "score": 1, "step": 0, "acc": 1}),
        None, None,
    ),
    "verifiers": (
        "results.jsonl",
        numbered(4, lambda i: {"example_id": i // 2, "completion": [{"role": "assistant", "content": "a"}],
                               "reward": 1.0, "error": None, "is_truncated": False}),
        "metadata.json",
        {"env_id": "e", "num_examples": 2, "sampling_args": {"temperature": 1.0}, "pass_threshold": 0.5,
         "pass_at_k": {"1": 1.0}},
    ),
    "nemo-rl": (
        "val_data_step0.jsonl",
        numbered(4, lambda i: {"content": [[{"role": "user", "content": f"p{i // 2}"},
                                            {"role": "assistant", "content": f"r{i}"}]], "rewards": [1.0], "idx": i}),
        None, None,
    ),
    "counts": ("c.jsonl", numbered(3, lambda i: {"id": i, "n": 4, "c": i, "benchmark": "b"}), None, None),
    "samples": (
        "s.jsonl",
        numbered(4, lambda i: {"id": i // 2, "correct": True, "response": f"r{i}", "gold": "1", "truncated": False}),
        None, None,
    ),
}  # fmt: skip


def places(value, above=()):
    found = [above]
    if isinstance(value, dict):
        found += [place for key in value for place in places(value[key], (*above, key))]
    elif isinstance(value, list):
        found += [place for index in range(min(len(value), 2)) for place in places(value[index], (*above, index))]
    return found


def mutated(value, random):
    """The value with one part of it replaced or left out."""
    place, new = random.choice(places(value)), random.choice(VALUES)
    if not place:
        return new
    value = json.loads(json.dumps(value))
    part = value
    for key in place[:-1]:
        part = part[key]
    if isinstance(part, dict) and random.random() < 0.3:
        del part[place[-1]]
    else:
        part[place[-1]] = new
    return value


def write(path, content):
    is_lines = path.suffix == ".jsonl" and isinstance(content, list)
    path.write_text("".join(json.dumps(one) + "\n" for one in content) if is_lines else json.dumps(content))
    return path


@pytest.mark.parametrize("format", FILES)
def test_wrong_shapes_are_errors(tmp_path, format):
    name, content, beside, more = FILES[format]
    assert import_run("auto", [write(tmp_path / name, content)], candidate="a", allow_ragged=True).format == format
    rng = random.Random(format)
    for _ in range(MUTATIONS):
        if beside and rng.random() < 0.4:
            write(tmp_path / name, content)
            write(tmp_path / beside, mutated(more, rng))
        else:
            write(tmp_path / name, mutated(content, rng))
        options = {"allow_ragged": rng.random() < 0.5, "allow_duplicates": rng.random() < 0.5}
        regrade = GradingPolicy() if rng.random() < 0.2 else None
        try:
            found = import_run(format, [tmp_path / name], candidate="a", regrade=regrade, **options)
        except QuagpredictError:
            continue
        assert found.problems["c"].is_between(0, found.problems["n"]).all()


def test_deep_nesting_and_bombs_are_errors(tmp_path):
    file = tmp_path / "deep.jsonl"
    file.write_text(
        '{"id": 1, "n": 4, "c": 1}\n{"id": 2, "n": 4, "c": 1, "x": ' + "[" * 100_000 + "]" * 100_000 + "}\n"
    )
    with pytest.raises(InvalidDataError, match="line 2 is not JSON"):
        import_run("counts", [file], candidate="a")
    bomb = tmp_path / "bomb.jsonl.gz"
    with gzip.open(bomb, "wb") as handle:
        for _ in range(300):
            handle.write(b" " * 2**20)
    with pytest.raises(InvalidDataError, match=r"bomb\.jsonl\.gz: .*unpacks to more than"):
        import_run("counts", [bomb], candidate="a")
