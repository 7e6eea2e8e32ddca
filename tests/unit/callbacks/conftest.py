"""Real trainers of TRL on a shipped base of the lab."""

from pathlib import Path
from typing import Any

import pytest

from quagpredict.shipped import shipped_path

BASE = "datasets/lab-pilot/bases/weak"


def settings(out: Path, **more: Any) -> dict[str, Any]:
    return {
        "output_dir": str(out),
        "max_steps": 6,
        "save_strategy": "steps",
        "save_steps": 2,
        "logging_steps": 2,
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "dataloader_pin_memory": False,
        "report_to": "none",
        "disable_tqdm": True,
        "learning_rate": 1e-3,
        "seed": 3,
        **more,
    }


@pytest.fixture
def sft_trainer():
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    from quagpredict.lab import Mixture

    def made(out: Path, **more: Any) -> Any:
        base = str(shipped_path(BASE))
        data = Mixture.from_mapping({"sources": [{"operators": "+-", "lengths": [1, 2]}]})
        rows = [
            {"prompt": one.prompt, "completion": one.completion} for one in data.problems(64, split="train", seed=1)
        ]
        args = SFTConfig(**settings(out, per_device_train_batch_size=8, max_length=64, **more))
        tokenizer = AutoTokenizer.from_pretrained(base)
        tokenizer.padding_side = "right"
        return SFTTrainer(
            model=AutoModelForCausalLM.from_pretrained(base),
            args=args,
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
        )

    return made


@pytest.fixture
def grpo_trainer():
    from datasets import Dataset
    from transformers import AutoTokenizer
    from trl import GRPOConfig, GRPOTrainer

    from quagpredict.lab import Mixture

    def made(out: Path, **more: Any) -> Any:
        base = str(shipped_path(BASE))
        data = Mixture.from_mapping({"sources": [{"operators": "+-", "lengths": [1, 1]}]})
        rows = [{"prompt": one.prompt} for one in data.problems(64, split="train", seed=1)]
        args = GRPOConfig(
            **settings(out, per_device_train_batch_size=16, num_generations=8, max_completion_length=16, **more)
        )
        return GRPOTrainer(
            model=base,
            args=args,
            reward_funcs=lambda completions, **_: [float(len(text)) for text in completions],
            train_dataset=Dataset.from_list(rows),
            processing_class=AutoTokenizer.from_pretrained(base),
        )

    return made
