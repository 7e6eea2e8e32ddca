"""What is particular to vLLM: a new one for each checkpoint, its own defaults, and what it cannot do."""

import json
import shutil
from contextlib import closing

import numpy as np
import pytest

from quagpredict.engines.contract import Request, Sampling
from quagpredict.engines.table import chosen_engine, load_engine, require_vllm
from quagpredict.errors import CheckpointError, RecipeError, UsageError
from quagpredict.evaluation import score_checkpoint
from quagpredict.shipped import shipped_path

pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("ignore")]
SAMPLING = Sampling(max_new_tokens=8, temperature=2.0)


def load(checkpoint, **settings):
    return closing(load_engine("vllm", checkpoint, **settings))


def drawn_by(engine, samples=100):
    ((_, drawn),) = engine.generate([Request("one", engine.encode_prompt("3+4="), 0, samples)], SAMPLING)
    return [one.tokens for one in drawn]


@pytest.fixture(scope="module")
def expected(checkpoint):
    with load(checkpoint) as engine:
        return drawn_by(engine)


def test_it_is_the_real_one_on_a_cpu():
    installed = require_vllm()
    assert installed.device_type == "cpu"
    assert installed.version.startswith("0.31.")
    assert chosen_engine("auto") == "transformers"


def test_the_checkpoints_own_sampling_defaults_do_not_count(checkpoint, expected, tmp_path):
    folder = shutil.copytree(checkpoint, tmp_path / "opinionated")
    file = folder / "generation_config.json"
    defaults = {"do_sample": True, "temperature": 0.1, "top_k": 1, "top_p": 0.1, "repetition_penalty": 5.0}
    file.write_text(json.dumps(json.loads(file.read_text()) | defaults | {"max_new_tokens": 2}))
    with load(folder) as engine:
        assert drawn_by(engine) == expected


def test_another_checkpoint_gets_another_model(checkpoint, expected, tmp_path):
    from transformers import AutoModelForCausalLM

    folder = shutil.copytree(checkpoint, tmp_path / "other")
    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    model.lm_head.weight.data *= 0.5
    model.save_pretrained(folder)
    with load(folder) as engine, closing(load_engine("transformers", folder)) as reference:
        pair = (engine.encode_prompt("3+4="), engine.encode_completion("7"))
        (score,), (other,) = engine.completion_log_probs([pair]), reference.completion_log_probs([pair])
        np.testing.assert_allclose(score, other, atol=1e-4)
        assert drawn_by(engine) != expected


def test_one_is_open_at_a_time_and_single_precision_stays_single(checkpoint):
    with load(checkpoint) as engine:
        assert str(engine._llm.model_config.dtype) == "torch.float32"  # vLLM's own "auto" makes bfloat16 of it
        with pytest.raises(UsageError, match="one vLLM engine can be open in a process"):
            load(checkpoint)
        for temperature in (0.001, 2.5):  # one it would change, one it would refuse
            settings = Sampling(max_new_tokens=1, temperature=temperature)
            with pytest.raises(RecipeError, match=rf"from 0.01 to 2.0, got {temperature}"):
                list(engine.generate([Request("one", (2,), 0, 1)], settings))


def test_a_shorter_length_than_the_context_is_the_limit(checkpoint):
    with load(checkpoint, max_model_len=16) as engine:
        assert all(len(tokens) <= 8 for tokens in drawn_by(engine, 4))
        with pytest.raises(CheckpointError, match="the checkpoint's context is 16"):
            list(engine.generate([Request("one", (2,), 0, 1)], Sampling(max_new_tokens=16)))
    with pytest.raises(CheckpointError, match="context is 64"):
        load_engine("vllm", checkpoint, max_model_len=65)


def test_settings_are_named(checkpoint):
    with pytest.raises(UsageError, match="unknown setting 'device'; known are batch_size, dtype, gpu_memory_util"):
        load_engine("vllm", checkpoint, device="cpu")


def test_what_vllm_cannot_load_or_run_is_one_line(checkpoint, tmp_path):
    folder = shutil.copytree(checkpoint, tmp_path / "broken")
    (folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        load_engine("vllm", folder)
    # The lab's models have heads of 16; vLLM has no attention of that size for CPUs, and says so at the first step.
    with pytest.raises(CheckpointError, match=r"cannot be loaded .*head_dim=16"):
        load_engine("vllm", shipped_path("datasets/lab-pilot/bases/weak"))


def test_two_workers_draw_what_one_draws(checkpoint, expected):
    with load(checkpoint, workers=2) as both:
        assert (both.name, both.version) == ("vllm", require_vllm().version)
        assert drawn_by(both) == expected


def test_the_command_measures_with_it(checkpoint, tmp_path, monkeypatch):
    from quagpredict.cli import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "sums.jsonl").write_text('{"problem": "3+4=", "answer": "7"}\n{"problem": "1+1=", "answer": "2"}')
    (tmp_path / "suite.yaml").write_text(
        "name: sums\nbenchmarks: [{name: sums, path: sums.jsonl}]\nsampling: {max_new_tokens: 8}\n"
        "grading: {extraction: last_digits, digits: 1}\n"
    )
    words = ["evaluate", str(checkpoint), "--suite", "suite.yaml", "--samples", "16", "--out", "run"]
    assert main([*words, "--engine", "vllm", "--engine-setting", "max_model_len=32"]) == 0
    score = score_checkpoint(checkpoint, "suite.yaml", samples=16, engine="vllm")
    assert score.engine == f"vllm {require_vllm().version}"
    assert score.measurement["token_entropy_nats"] is None
    assert score.samples["entropy_sum"].null_count() == score.samples.height == 32
