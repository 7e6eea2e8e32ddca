"""Training starts from a whole checkpoint or not at all: one line, exit code 3, no folder."""

import runpy
import shutil

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from quagpredict.program import run_program
from quagpredict.shipped import shipped_path

DATA = {"train_sft": {"unique_examples": 8}, "train_grpo": {"lab_prompts": 8, "reward_funcs": ["accuracy"]}}
NORM = "model.norm.weight"


def lack(tensors):
    del tensors[NORM]


def shape(tensors):
    tensors[NORM] = torch.ones(3)


@pytest.mark.parametrize("program", DATA)
@pytest.mark.parametrize(
    ("change", "template", "said"),
    [
        (lack, None, "base: its weights lack the tensor model.norm.weight"),
        (shape, None, "base: the tensor model.norm.weight has the shape (3,), its config asks for (64,)"),
        (None, "{% for m in messages %}", "chat_template: its chat template cannot render user"),
    ],
    ids=["lack", "shape", "template"],
)
def test_a_base_that_is_not_whole_is_refused(program, change, template, said, tmp_path, monkeypatch, capsys):
    base = shutil.copytree(shipped_path("datasets/lab-pilot/bases/weak"), tmp_path / "base")
    if change is not None:
        tensors = load_file(base / "model.safetensors")
        change(tensors)
        save_file(tensors, base / "model.safetensors", {"format": "pt"})
    recipe = {
        "model_name_or_path": str(base),
        "output_dir": str(tmp_path / "out"),
        "lab_data": {"operators": "+", "lengths": [1, 1]},
        "chat_template": template,
        "max_steps": 1,
        "bf16": False,
        "use_cpu": True,
        "report_to": "none",
        "disable_tqdm": True,
        **DATA[program],
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    module = runpy.run_path(str(shipped_path(f"training/{program}.py")), run_name=program)
    monkeypatch.setattr("sys.argv", [program, "--config", str(tmp_path / "recipe.yaml")])
    assert run_program(module["main"]) == 3
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
