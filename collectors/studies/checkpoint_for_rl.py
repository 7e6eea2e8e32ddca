"""The checkpoint that the callback marks against the last and the one of lowest loss: which ends best after RL.

    python collectors/studies/checkpoint_for_rl.py --out runs/checkpoint-for-rl --results docs/checkpoint-for-rl.csv

A base of the lab that no shipped prior has seen goes through three SFT recipes of the pilot on which the held-out loss
rose with more training, each with `QuagpredictCallback` in TRL's SFTTrainer. Its checkpoints are then taken through
real GRPO and measured, those that a rule keeps first. It resumes where it was stopped. ``--report-only`` prints the
tables again from the results alone.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from quagpredict.files import written_aside
from quagpredict.program import run_program

SUITE = "collectors/suites/lab-pilot.yaml"
BASE: dict[str, Any] = {
    "seed": 91,
    "steps": 700,
    "lab_data": {
        "sources": [
            {"operators": "+-", "lengths": [1, 4], "noise": 0.12, "share": 5},
            {"operators": "+-*", "required": "*", "lengths": [1, 2], "noise": 0.2, "share": 1},
            {"operators": "+-", "lengths": [1, 3], "direct": True, "share": 2},
        ]
    },
}
#: Recipe -> its data, unique examples and epochs; each is 128 steps, of which four checkpoints are kept.
RECIPES: dict[str, tuple[dict[str, Any], int, int]] = {
    "broad-64x64": ({"operators": "+-*^", "lengths": [1, 3]}, 64, 64),
    "times-256x16": ({"operators": "+-*", "lengths": [1, 3]}, 256, 16),
    "short-256x16": ({"operators": "+-*^", "lengths": [1, 1]}, 256, 16),
}
SAVE_STEPS = 32
LEARNING_RATE = 1e-3
#: Rule -> which checkpoint of a run it keeps, from what is known before RL.
RULES: dict[str, Callable[[pl.DataFrame], str]] = {
    "the callback": lambda run: run.filter("best_for_rl")["candidate"].item(),
    "last": lambda run: run.sort("step")["candidate"][-1],
    "lowest loss": lambda run: run.sort("held_out_loss")["candidate"][0],
    "highest Pass@1": lambda run: run.sort("pass_at_1")["candidate"][-1],
    "highest Pass@16": lambda run: run.sort("pass_at_16")["candidate"][-1],
}


def main(arguments: list[str]) -> None:
    """Train, measure, take through RL what is not done yet; print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/checkpoint-for-rl"), help="folder for all models")
    parser.add_argument("--results", type=Path, required=True, help="CSV with one line a checkpoint")
    parser.add_argument("--rl-steps", type=int, default=100, help="GRPO steps (default: 100)")
    parser.add_argument("--report-only", action="store_true", help="print the tables of --results, and run nothing")
    given = parser.parse_args(arguments)
    if not given.report_only:
        base = _base(given.out)
        runs = [_sft(given.out, base, recipe) for recipe in RECIPES]
        table = pl.concat(runs).with_row_index()
        kept = [{choose(run) for choose in list(RULES.values())[:3]} for run in runs]
        wanted = table.sort(~pl.col("candidate").is_in(list(set.union(*kept))), maintain_order=True)
        schema = {"candidate": pl.String, "after_rl": pl.Float64, "after_rl_se": pl.Float64}
        after: list[tuple[str, float, float]] = []
        for row in wanted.iter_rows(named=True):
            after.append((row["candidate"], *_after_rl(given.out, row, given.rl_steps)))
            scored = table.drop("folder").join(
                pl.DataFrame(after, schema=schema, orient="row"), on="candidate", how="left"
            )
            with written_aside(given.results) as aside:
                scored.sort("index").drop("index").write_csv(aside, float_precision=5)
    print("\n".join(report(pl.read_csv(given.results))))


def report(results: pl.DataFrame) -> list[str]:
    """Return both tables as lines of Markdown: every checkpoint, and what each rule keeps of each run.

    Examples
    --------
    >>> name = {"recipe": ["a"] * 2, "candidate": ["a@1", "a@2"], "step": [1, 2], "best_for_rl": [True, False]}
    >>> before = {"held_out_loss": [0.4, 0.3], "pass_at_1": [0.1, 0.2], "pass_at_16": [0.6, 0.5]}
    >>> after = {"predicted": [0.5, 0.4], "low": [0.3] * 2, "high": [0.6] * 2, "after_rl": [0.5, 0.45]}
    >>> lines = report(pl.DataFrame({**name, **before, **after, "after_rl_se": [0.02] * 2}))
    >>> lines[-5:-3]
    ['| the callback | 50.0 | 0.0 | 0.0 |', '| last | 45.0 | 5.0 | 5.0 |']
    """
    lines = [
        "| checkpoint | held-out loss | Pass@1 | Pass@16 | predicted | after RL | kept by |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    runs = results.partition_by("recipe", maintain_order=True)
    kept = {rule: [choose(run) for run in runs] for rule, choose in RULES.items()}
    for row in results.iter_rows(named=True):
        predicted = f"{_pc(row['predicted'])} ({_pc(row['low'])} to {_pc(row['high'])})"
        after = "" if row["after_rl"] is None else f"{_pc(row['after_rl'])} ± {_pc(row['after_rl_se'])}"
        by = ", ".join(rule for rule, names in kept.items() if row["candidate"] in names)
        measured = f"{row['held_out_loss']:.3f} | {_pc(row['pass_at_1'])} | {_pc(row['pass_at_16'])}"
        lines.append(f"| {row['candidate']} | {measured} | {predicted} | {after} | {by} |")
    lines += ["", "| kept by | after RL, mean | regret, mean | regret, worst |", "| --- | ---: | ---: | ---: |"]
    after_rl = dict(results.select("candidate", "after_rl").iter_rows())
    best = [run["after_rl"].max() for run in runs]
    for rule, names in kept.items():
        if None in (after_rl[name] for name in names):
            continue
        regrets = [top - after_rl[name] for top, name in zip(best, names, strict=True)]
        mean = sum(after_rl[name] for name in names) / len(names)
        lines.append(f"| {rule} | {_pc(mean)} | {_pc(sum(regrets) / len(regrets))} | {_pc(max(regrets))} |")
    return lines


def _pc(fraction: float) -> str:
    return f"{100 * fraction:.1f}"


def _program(program: str, config: dict[str, Any], folder: Path) -> None:
    """Run a program of the collection on a config, unless its record is there."""
    if (folder / "record.json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    file = folder.with_suffix(".yaml")
    file.write_text(yaml.safe_dump({**config, "output_dir": str(folder)}), "utf-8")
    subprocess.run([sys.executable, program, "--config", str(file)], check=True)


def _base(out: Path) -> Path:
    _program("training/pretrain_lab_base.py", BASE, out / "base")
    return out / "base"


def _sft(out: Path, base: Path, recipe: str) -> pl.DataFrame:
    """Train on a recipe with the callback; return what it knew of each checkpoint when the run was over."""
    folder = out / "sft" / recipe
    if not (folder / "best_for_rl.json").exists() or len(list(folder.glob("quagpredict/*.parquet"))) < 4:
        _train(folder, base, recipe)
    import quagpredict as qp

    best = json.loads((folder / "best_for_rl.json").read_text("utf-8"))["candidate"]
    ranked = qp.rank(str(folder / "quagpredict" / "*.parquet")).frame
    rows = qp.read_corpus(str(folder / "quagpredict" / "*.parquet")).join(
        ranked.select("candidate", "prediction", "low", "high"), on="candidate"
    )
    return rows.select(
        recipe=pl.lit(recipe),
        candidate=recipe + "@" + pl.col("candidate").str.extract(r"(\d+)$"),
        step=pl.col("candidate").str.extract(r"(\d+)$").cast(pl.Int64),
        best_for_rl=pl.col("candidate") == best,
        held_out_loss="pre_held_out_loss_nats",
        pass_at_1="pre_pass_at_1",
        pass_at_16="pre_pass_at_16",
        predicted="prediction",
        low="low",
        high="high",
        folder=pl.lit(str(folder) + "/") + pl.col("candidate"),
    ).sort("step")


def _train(folder: Path, base: Path, recipe: str) -> None:
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    from quagpredict.callbacks import QuagpredictCallback
    from quagpredict.lab import Mixture

    data, unique, epochs = RECIPES[recipe]
    settings = yaml.safe_load(Path("training/recipes/lab/sft.yaml").read_text("utf-8"))
    model_settings = {"dtype"}
    settings = {key: value for key, value in settings.items() if key not in model_settings}
    settings |= {"save_strategy": "steps", "save_steps": SAVE_STEPS, "num_train_epochs": epochs}
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.padding_side = "right"
    problems = Mixture.from_mapping({"sources": [data]}).problems(unique, split="train", seed=0)
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(base),
        args=SFTConfig(str(folder), seed=0, learning_rate=LEARNING_RATE, **settings),
        train_dataset=Dataset.from_list(
            [{"prompt": problem.prompt, "completion": problem.completion} for problem in problems]
        ),
        processing_class=tokenizer,
    )
    trainer.add_callback(QuagpredictCallback(trainer, SUITE, base_model="new"))
    trainer.train()


def _after_rl(out: Path, row: dict[str, Any], steps: int) -> tuple[float, float]:
    """Take a checkpoint through GRPO; return Pass@1 after it with its standard error, 64 samples of all problems."""
    import quagpredict as qp

    config = yaml.safe_load(Path("training/recipes/lab/grpo.yaml").read_text("utf-8"))
    folder = out / "rl" / row["candidate"]
    _program(
        "training/train_grpo.py",
        {**config, "max_steps": steps, "seed": 0, "model_name_or_path": row["folder"]},
        folder,
    )
    score = qp.score_checkpoint(folder, SUITE, samples=64, engine="transformers", out=out / "after" / row["candidate"])
    return score.measurement["pass_at_1"], score.measurement["pass_at_1_se"]


if __name__ == "__main__":
    sys.exit(run_program(main))
