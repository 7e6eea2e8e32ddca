"""A real chain with the real libraries: base, TRL SFT, evaluation, TRL GRPO, evaluation, to a row of the corpus."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from quagpredict.collection.collecting import collect
from quagpredict.collection.ledger import read_ledger
from quagpredict.corpus import read_corpus
from quagpredict.evaluation import read_samples
from quagpredict.files import file_digest
from quagpredict.metrics import pass_at_k
from quagpredict.plans.plan import Plan
from quagpredict.shipped import shipped_path

# One-step chains: a base learns them in seconds, and forty GRPO steps then show.
ONE_STEP = {"operators": "+-", "lengths": [1, 1]}
PRETRAIN = {"seed": 0, "steps": 450, "warmup_steps": 30, "lab_data": {**ONE_STEP, "noise": 0.25}}
SUITE = {
    "name": "one-step",
    "benchmarks": [{"name": "one", "lab": {"problems": 100, "seed": 1, "data": ONE_STEP}}],
    "held_out": {"lab": {"problems": 60, "seed": 2, "data": ONE_STEP}},
    "sampling": {"max_new_tokens": 8},
    "grading": {"extraction": "last_digits", "digits": 3},
}


@pytest.fixture(scope="module")
def collected(tmp_path_factory) -> Path:
    """The work folder of a collection of one candidate, made by the real programs in forked processes."""
    folder = tmp_path_factory.mktemp("lab")
    grpo = yaml.safe_load(shipped_path("training/recipes/lab/grpo.yaml").read_text())
    grpo |= {"lab_data": ONE_STEP, "lab_prompts": 512, "max_steps": 40, "max_completion_length": 8}
    sft = yaml.safe_load(shipped_path("training/recipes/lab/sft.yaml").read_text())
    for name, content in {"suite": SUITE, "sft": sft, "grpo": grpo}.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    plan = {
        "name": "one-step",
        "bases": {"tiny": {"family": "qwen3", "pretrain": PRETRAIN}},
        "data": {"clean": {"lab_data": ONE_STEP}},
        "sft": {"recipe": str(folder / "sft.yaml")},
        "rl": {"recipe": str(folder / "grpo.yaml"), "seeds": [0], "measure_at": [20]},
        "evaluation": {
            "suite": str(folder / "suite.yaml"),
            "samples_before": 64,
            "samples_after": 32,
            "samples_along": 16,
            "batch_size": 1024,
        },
        "candidates": [
            {
                "base": ["tiny"],
                "data": ["clean"],
                "unique_examples": [256],
                "epochs": [2],
                "checkpoint_epochs": [1],
                "learning_rate": [1.0e-3],
                "seed": [0],
                "scenario": "dataset-level",
            }
        ],
        "launch": {"mode": "fork", "threads": 1},
    }
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan))
    collect(Plan.from_yaml(folder / "plan.yaml"), folder / "work")
    return folder / "work"


@pytest.fixture(scope="module")
def row(collected) -> dict:
    frame = read_corpus(collected / "corpus.parquet")
    assert frame["candidate"].to_list() == ["tiny.clean-256x2-lr0.001-s0", "tiny.clean-256x2-lr0.001-s0@e1"]
    return frame.row(0, named=True)


def test_grpo_raises_pass_at_1_beyond_noise(row):
    gain = row["post_pass_at_1"] - row["pre_pass_at_1"]
    noise = math.hypot(row["post_pass_at_1_se"], row["pre_pass_at_1_se"])
    assert gain > 3 * noise
    rewards = [entry["reward"] for entry in row["rl_curve"]]
    assert rewards[-1] > rewards[0]
    assert row["rl_steps"] == 40


def test_a_row_holds_what_was_measured_and_how(row):
    assert row["candidate"] == "tiny.clean-256x2-lr0.001-s0"
    assert row["recipe_unique_examples"] == 256
    assert row["recipe_examples_seen"] == 512
    assert row["eval_protocol_id"]
    assert row["rl_recipe_id"]
    counts = pl.DataFrame(row["pre_problems"])
    assert counts["n"].to_list() == [64] * 100
    for k in (1, 8, 64):
        passed = pass_at_k(counts["n"].to_numpy(), counts["c"].to_numpy(), k)
        assert row[f"pre_pass_at_{k}"] == pytest.approx(np.mean(passed))
    assert 0 < row["pre_held_out_loss_nats"] < math.log(36)
    assert row["pre_token_entropy_nats"] > row["post_token_entropy_nats"] > 0
    assert row["pre_zero_variance_share_g8"] < 1


def test_a_run_is_measured_before_along_and_after(row):
    curve = row["post_curve"]
    assert [(point["step"], point["samples_per_problem"]) for point in curve] == [(0, 64), (20, 16), (40, 32)]
    assert [curve[0]["pass_at_1"], curve[-1]["pass_at_1"]] == [row["pre_pass_at_1"], row["post_pass_at_1"]]
    assert curve[0]["pass_at_1"] < curve[1]["pass_at_1"]


def test_a_checkpoint_of_sft_is_a_candidate_of_its_own(collected, row):
    part = read_corpus(collected / "corpus.parquet").row(1, named=True)
    assert (part["recipe_epochs"], part["recipe_planned_epochs"], part["recipe_examples_seen"]) == (1, 2, 256)
    assert part["recipe_id"] != row["recipe_id"]
    assert part["pre_held_out_loss_nats"] != row["pre_held_out_loss_nats"]
    assert part["cost_sft_s"] == row["cost_sft_s"]


def test_the_reward_and_the_evaluation_agree(collected, row):
    """The mean reward of the last steps is a Pass@1 on RL prompts: near the one that evaluation measures after RL."""
    last = row["rl_curve"][-1]["reward"]
    assert abs(last - row["post_pass_at_1"]) < 0.12


def test_every_sample_has_its_own_seed_and_a_verdict(collected):
    run = next(collected.glob("stages/evaluate-pre/*"))
    grades = pl.read_parquet(run / "grades.parquet")
    samples = read_samples(run).collect().join(grades, on=["benchmark", "problem_id", "sample"], validate="1:1")
    assert samples.height == 6400 == samples["seed"].n_unique()
    assert set(samples["verdict"]) <= {"correct", "wrong", "no_answer", "truncated"}
    right = samples.filter(pl.col("verdict") == "correct")
    assert (right["response"].str.slice(-3) == right["answer"]).all()
    assert (right["finish_reason"] == "stop").all()


def test_a_checkpoint_is_an_ordinary_hugging_face_folder(collected):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    for folder in (next(collected.glob(f"stages/{kind}/*")) for kind in ("base", "sft", "grpo")):
        assert {"config.json", "model.safetensors", "tokenizer.json"} <= {path.name for path in folder.iterdir()}
        tokenizer = AutoTokenizer.from_pretrained(folder)
        assert tokenizer.decode(tokenizer("a-8:468")["input_ids"]) == "a-8:468"
        assert tokenizer.pad_token_id != tokenizer.eos_token_id
        assert AutoModelForCausalLM.from_pretrained(folder).num_parameters() > 100_000


def test_a_base_is_the_same_to_the_bit_when_it_is_made_again(tmp_path):
    digests = set()
    for name in ("first", "second"):
        config = PRETRAIN | {"steps": 12, "output_dir": str(tmp_path / name)}
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(config))
        run_program("training/pretrain_lab_base.py", tmp_path / f"{name}.yaml")
        digests.add(file_digest(tmp_path / name / "model.safetensors"))
        record = json.loads((tmp_path / name / "record.json").read_text())
        assert record["outputs"]["model.safetensors"] == file_digest(tmp_path / name / "model.safetensors")
    assert len(digests) == 1


def test_an_evaluation_is_the_same_when_it_is_repeated(collected, row, tmp_path):
    checkpoint = next(collected.glob("stages/sft/*"))
    renamed = tmp_path / "renamed"
    shutil.copytree(checkpoint, renamed)
    suite = collected.parent / "suite.yaml"
    config = {"checkpoint": str(renamed), "suite": str(suite), "samples": 64, "batch_size": 300}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config | {"output_dir": str(tmp_path / "out")}))
    run_program("collectors/evaluate_checkpoint.py", tmp_path / "config.yaml")
    repeated = pl.read_parquet(tmp_path / "out" / "problems.parquet")
    first = pl.read_parquet(next(collected.glob("stages/evaluate-pre/*")) / "problems.parquet")
    # Another batch size may round a logit otherwise, and so turn a rare sample.
    assert (repeated["c"] - first["c"]).abs().sum() <= 2


def test_a_run_taken_further_passes_the_shorter_runs_end(collected, tmp_path):
    """What `rl_further` rests on: the first steps of a longer run are the shorter run, to the bit."""
    recipe = yaml.safe_load((collected.parent / "grpo.yaml").read_text())
    recipe |= {"model_name_or_path": str(next(collected.glob("stages/sft/*"))), "per_device_train_batch_size": 64}
    recipe |= {"drawn_at_once": 24}
    for name, steps in (("short", {"max_steps": 3}), ("long", {"max_steps": 5, "keep_steps": [3]})):
        config = recipe | steps | {"seed": 0, "output_dir": str(tmp_path / name)}
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(config))
        run_program("training/train_grpo.py", tmp_path / f"{name}.yaml")
    digests = [file_digest(tmp_path / part / "model.safetensors") for part in ("short", "long/at-3", "long")]
    assert digests[0] == digests[1] != digests[2]
    record = json.loads((tmp_path / "long" / "record.json").read_text())
    assert record["outputs"]["at-3/model.safetensors"] == digests[1]


def test_a_race_that_is_killed_ends_with_the_weights_of_undisturbed_runs(collected, tmp_path):
    """The runs of `collected`, raced: they pause, are measured and go on, and end as those did that never paused."""
    plan = yaml.safe_load((collected.parent / "plan.yaml").read_text())
    del plan["rl"]["measure_at"]
    # An epoch is 16 steps: one pause in the first, one at its end, one in the second.
    plan["race"] = {"rl_steps": 54, "rungs": [10, 16, 20], "measure_cost": 1, "prior": "none", "tolerance": 0}
    (tmp_path / "race.yaml").write_text(yaml.safe_dump(plan))
    work = tmp_path / "work"
    shutil.copytree(collected, work)  # the base, SFT and what was measured before RL are the same stages
    before = len(read_ledger(work / "ledger.jsonl"))

    words = [sys.executable, "-m", "quagpredict", "collect", str(tmp_path / "race.yaml"), "--out", str(work)]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL, start_new_session=True) as cut_off:
        while not any(a.stage.startswith("grpo/") for a in read_ledger(work / "ledger.jsonl")[before:]):
            assert cut_off.poll() is None
            time.sleep(0.05)
        os.kill(cut_off.pid, signal.SIGKILL)
    summary = collect(Plan.from_yaml(tmp_path / "race.yaml"), work)
    assert (summary.left, summary.failed) == (0, ())
    attempts = read_ledger(work / "ledger.jsonl")[before:]
    stages = [attempt.stage for attempt in attempts]
    assert len(stages) == len(set(stages))
    decisions = [attempt.record.results for attempt in attempts if attempt.stage.startswith("race/")]
    assert decisions[-1]["over"]
    assert decisions[-1]["spent"] <= 54
    rows = {row["candidate"]: row for row in read_corpus(work / "corpus.parquet", nested=True).iter_rows(named=True)}
    whole = {row["candidate"]: row for row in read_corpus(collected / "corpus.parquet").iter_rows(named=True)}
    ended = [name for name, row in rows.items() if row["post_pass_at_1"] is not None]
    assert ended == [decisions[-1]["choice"]]  # RL steps for one whole run and a part of the other
    for name in ended:
        run = f"stages/grpo/{name}.rl-s0/model.safetensors"
        assert file_digest(work / run) == file_digest(collected / run)
        logs = zip(rows[name]["rl_curve"], whole[name]["rl_curve"], strict=True)
        # Of the ten steps up to 20 the log has seen those after the pause at 16.
        assert [ours["step"] for ours, theirs in logs if ours != theirs] == [20]
        assert rows[name]["post_pass_at_1"] == whole[name]["post_pass_at_1"]
    (stopped,) = (row for name, row in rows.items() if name not in ended)
    steps = [point["step"] for point in stopped["post_curve"]]
    assert steps[0] == 0
    assert set(steps[1:]) <= {10, 16, 20}
    assert steps[1:]


@pytest.mark.parametrize(
    ("program", "config", "message"),
    [
        ("training/train_sft.py", {"learning_rat": 1.0}, "unknown key 'learning_rat'; did you mean 'learning_rate'?"),
        ("training/train_grpo.py", {"num_generation": 8}, "unknown key 'num_generation'"),
        ("training/pretrain_lab_base.py", {"step": 8}, "unknown key 'step'"),
        ("collectors/evaluate_checkpoint.py", {"suit": "x"}, "unknown key 'suit'"),
    ],
)
def test_a_program_refuses_an_unknown_key_in_one_line(tmp_path, program, config, message):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config | {"output_dir": str(tmp_path / "out")}))
    done = run_program(program, tmp_path / "config.yaml", expected=3)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in done.stderr


def run_program(program: str, config: Path, expected: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(shipped_path(program)), "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == expected, done.stderr
    return done


@pytest.mark.parametrize("program", ["sft", "grpo"])
def test_training_that_was_cut_off_goes_on_from_its_checkpoint(program, collected, tmp_path):
    """As if nobody had disturbed it: the same weights, the whole curve, the epochs kept, and all of its cost."""
    config = yaml.safe_load(next((collected / "logs").glob(f"{program}-*-1.yaml")).read_text())
    config |= {"save_strategy": "steps", "logging_steps": 2, "disable_tqdm": True}
    config |= {"max_steps": 6, "save_steps": 2} if program == "grpo" else {"save_steps": 6}
    config |= {"keep_steps": [2, 4]} if program == "grpo" else {}
    folder = tmp_path / "out"

    def train():
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(config | {"output_dir": str(folder)}))
        words = [sys.executable, str(shipped_path(f"training/train_{program}.py")), "--config", "config.yaml"]
        subprocess.run(words, cwd=tmp_path, check=True, capture_output=True)
        record = json.loads((folder / "record.json").read_text())
        return {name: file_digest(path) for name, path in files()}, record

    def files():
        kept = sorted(folder.rglob("model.safetensors"))
        return [(str(path.relative_to(folder)), path) for path in kept if "checkpoint-" not in str(path)]

    whole, record = train()
    steps = sorted(int(path.name[11:]) for path in folder.glob("checkpoint-*"))
    assert len(steps) >= 3 or program == "sft"
    for step in steps[1:]:  # the kill came after the first
        shutil.rmtree(folder / f"checkpoint-{step}")
    for path in [folder / "record.json", *(path for _, path in files() if path.parent == folder)]:
        path.unlink()
    spent = folder / f"checkpoint-{steps[0]}" / "quagpredict_spent.json"
    assert 0 < float(spent.read_text()) < record["seconds"]
    spent.write_text("1000.0")
    resumed, again = train()
    assert resumed == whole
    curve = "rl_curve" if program == "grpo" else "loss_curve"
    assert [point["step"] for point in again["results"][curve]] == [point["step"] for point in record["results"][curve]]
    assert again["results"][curve][-1] == record["results"][curve][-1]
    assert again["seconds"] > 1000
    if program == "sft":
        assert again["results"]["train_loss_nats"] == pytest.approx(record["results"]["train_loss_nats"], rel=0.1)
