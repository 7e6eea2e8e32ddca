"""A real search, small: SFT by TRL, a rung, evaluation, GRPO for the best; and the recipe that it recommends."""

import json
import subprocess
import sys
from pathlib import Path

import optuna
import polars as pl
import pytest
import yaml

from quagpredict.cli import main
from quagpredict.shipped import shipped_path


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished search of two trials, the best taken through two steps of RL."""
    folder = tmp_path_factory.mktemp("search")
    rl = yaml.safe_load(shipped_path("training/recipes/lab/grpo.yaml").read_text())
    rl |= {"max_steps": 2, "per_device_train_batch_size": 32, "lab_prompts": 64}
    (folder / "grpo.yaml").write_text(yaml.safe_dump(rl))
    space = yaml.safe_load(shipped_path("collectors/searches/lab-mixture.yaml").read_text())
    space |= {
        "budget": {"examples": 512},
        "epochs": [1, 2],
        "evaluation": {**space["evaluation"], "samples": 64},
        "rungs": {"every": 0.5, "samples": 64},
        "rl": {"recipe": str(folder / "grpo.yaml"), "seeds": [0], "samples": 4},
    }
    (folder / "space.yaml").write_text(yaml.safe_dump(space))
    words = ["search", str(folder / "space.yaml"), "--out", str(folder / "out"), "--allow-mixed-protocols"]
    assert main([*words, "--trials", "2", "--verify", "1", "--figures"]) == 0
    return folder / "out"


def study(out: Path) -> optuna.Study:
    return optuna.load_study(study_name="lab-mixture.surrogate.s0.r1", storage=f"sqlite:///{out / 'study.db'}")


def test_trials_were_trained_measured_and_scored(searched: Path) -> None:
    trials = study(searched).trials
    assert [trial.state.name for trial in trials] == ["COMPLETE", "COMPLETE"]
    for trial in trials:
        # Where the training is over before its checkpoint was measured, the rung is passed over.
        assert set(trial.intermediate_values) <= {50}
        assert 0 < trial.user_attrs["prediction"] < 1
        record = next(searched.glob(f"recipes/{trial.user_attrs['recipe_id']}/stages/sft/*/record.json"))
        assert json.loads(record.read_text())["program"] == "training/train_sft.py"
        assert not list(record.parent.glob("checkpoint-*"))


def test_the_corpus_has_their_shares_and_the_score_after_rl_of_the_best(searched: Path) -> None:
    corpus = pl.read_parquet(searched / "corpus.parquet")
    assert corpus.height == 2
    shares = corpus.select(pl.sum_horizontal(pl.col("^share_.*$"))).to_series().to_list()
    assert shares == pytest.approx([1.0, 1.0])
    best = study(searched).best_trial
    verified = corpus.filter(pl.col("post_pass_at_1").is_not_null())
    assert verified["recipe_id"].to_list() == [best.user_attrs["recipe_id"]]
    assert corpus["eval_protocol_id"].n_unique() == 1


def test_the_same_command_does_nothing_again(searched: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in searched.glob("recipes/*/stages/*/*/record.json")}
    words = ["search", str(searched.parent / "space.yaml"), "--out", str(searched), "--allow-mixed-protocols"]
    assert main([*words, "--trials", "2", "--verify", "1", "--format", "json"]) == 0
    said = capsys.readouterr()
    assert "trial " not in said.err.replace("RL for trial", "").replace(": trial", "")
    assert len(json.loads(said.out)["verified"]) == 1
    assert {path: path.stat().st_mtime_ns for path in searched.glob("recipes/*/stages/*/*/record.json")} == before


def test_the_training_program_takes_the_recommended_recipe_as_it_is(searched: Path, tmp_path: Path) -> None:
    program = shipped_path("training/train_sft.py")
    command = [sys.executable, str(program), "--config", str(searched / "recipe.yaml")]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    made = next(tmp_path.glob("checkpoints/*/model.safetensors"))
    kept = next(searched.glob(f"recipes/{made.parent.name.removeprefix('mix-')}*/stages/sft/*/model.safetensors"))
    # The same recipe gives the same weights, to the bit, as the trial's training did.
    assert made.read_bytes() == kept.read_bytes()


def test_the_figures_are_there(searched: Path) -> None:
    assert {path.name for path in searched.glob("figures/*.png")} == {"history.png", "mixtures.png", "verified.png"}
