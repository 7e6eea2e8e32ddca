"""A checkpoint is loaded whole or refused in one line that names the tensor, by both engines."""

import json
import shutil
from contextlib import closing

import pytest
import torch
from safetensors.torch import load_file, save_file

from quagpredict.engines.loading import check_tensors, load_model
from quagpredict.engines.table import load_engine
from quagpredict.engines.tokens import Tokens
from quagpredict.errors import CheckpointError
from quagpredict.shipped import shipped_path

VLLM = pytest.param("vllm", marks=[pytest.mark.vllm, pytest.mark.filterwarnings("ignore")])  # its imports' warnings
QUERY = "model.layers.1.self_attn.q_proj.weight"


@pytest.fixture
def folder(checkpoint, tmp_path):
    """A checkpoint of its own, to be changed."""
    return shutil.copytree(checkpoint, tmp_path / "changed")


def change_weights(folder, change):
    file = folder / "model.safetensors"
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file, {"format": "pt"})


def change_json(folder, name, **keys):
    file = folder / name
    file.write_text(json.dumps(json.loads(file.read_text()) | keys))


def lack(folder):
    change_weights(folder, lambda tensors: tensors.pop(QUERY))


def lack_the_head(folder):
    change_weights(folder, lambda tensors: tensors.pop("lm_head.weight"))


def shape(folder):
    change_weights(folder, lambda tensors: tensors.update({"model.norm.weight": torch.ones(31)}))


def vocabulary(folder):
    change_json(folder, "config.json", vocab_size=40)


def more_layers_than_the_config(folder):
    change_json(folder, "config.json", num_hidden_layers=1, layer_types=["full_attention"])


def a_bias(folder):
    change_weights(folder, lambda tensors: tensors.update({QUERY.replace("weight", "bias"): torch.ones(64)}))


def not_finite(folder):
    change_weights(folder, lambda tensors: tensors["model.norm.weight"].fill_(torch.nan))


def quantised(folder):
    change_json(folder, "config.json", quantization_config={"quant_method": "gptq", "bits": 4})


def pickled(folder):
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def no_config(folder):
    (folder / "config.json").write_text("[1, 2")


def odd_config(folder):
    change_json(folder, "config.json", hidden_size="wide")


def no_tokenizer(folder):
    (folder / "tokenizer.json").write_text('{"version": "1.0"}')


def no_generation_config(folder):
    (folder / "generation_config.json").write_text("{")


def no_template(folder):
    (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m['content'] }}")


def angry_template(folder):
    (folder / "chat_template.jinja").write_text("{{ raise_exception('no\nusers') }}")


BROKEN = {
    lack: f"its weights lack the tensor {QUERY}: save the whole model again",
    lack_the_head: "lack the tensor lm_head.weight",
    shape: r"model.norm.weight has the shape \(31,\), its config asks for \(32,\)",
    vocabulary: r"has the shape \(23, 32\), its config asks for \(40, 32\)",
    more_layers_than_the_config: r"no place for the tensors model.layers.1.input_layernorm.weight, .* and 8 more",
    a_bias: r"leaves no place for the tensor model.layers.1.self_attn.q_proj.bias",
    not_finite: "NaN or infinity",
    quantised: r"its weights are quantised \(gptq\)",
    pickled: r"as a pickle alone \(pytorch_model.bin\)",
    no_config: "its config.json cannot be loaded",
    odd_config: "cannot be loaded",
    no_tokenizer: "its tokenizer cannot be loaded",
    no_generation_config: "its generation_config.json cannot be loaded",
    no_template: r"its chat template cannot render user \(Unexpected end of template",
    angry_template: r"its chat template cannot render user \(no users\)",
}


@pytest.mark.parametrize("engine", ["transformers", VLLM])
@pytest.mark.parametrize(("break_it", "said"), BROKEN.items(), ids=lambda case: getattr(case, "__name__", ""))
def test_a_broken_checkpoint_is_refused_in_one_line(break_it, said, engine, folder, capfd):
    break_it(folder)
    with pytest.raises(CheckpointError, match=said) as caught:
        load_engine(engine, folder)
    assert str(caught.value).startswith(f"{folder}: ")
    assert "\n" not in str(caught.value)
    if engine == "transformers":
        assert capfd.readouterr().err == ""


@pytest.mark.parametrize("break_it", [lack, lack_the_head, shape, vocabulary, more_layers_than_the_config, a_bias])
def test_headers_alone_say_what_is_not_whole(break_it, folder):
    check_tensors(folder)
    break_it(folder)
    with pytest.raises(CheckpointError, match=BROKEN[break_it]):
        check_tensors(folder)


def test_a_tensor_that_is_tied_to_another_is_not_lacking():
    base = shipped_path("datasets/lab-pilot/bases/weak")
    assert "lm_head.weight" not in load_file(base / "model.safetensors")
    check_tensors(base)
    model = load_model(base)
    assert model.lm_head.weight is model.model.embed_tokens.weight


def test_a_part_beside_the_language_model_changes_nothing(folder):
    change_weights(folder, lambda tensors: tensors.update({"v_head.summary.weight": torch.ones(1, 32)}))
    check_tensors(folder)
    load_model(folder)


def test_without_an_end_token_of_its_tokenizer_a_completion_ends_with_the_models(folder):
    change_json(folder, "tokenizer_config.json", eos_token=None)
    tokens = Tokens(folder)
    assert tokens.end_tokens == [1]
    assert tokens.encode_completion("12") == (4, 5, 1)


def test_a_token_that_the_model_does_not_know_is_refused_when_it_comes(folder):
    change_weights(folder, lambda tensors: tensors.update({name: tensors[name][:10] for name in TABLES}))
    change_json(folder, "config.json", vocab_size=10)
    with closing(load_engine("transformers", folder)) as engine:
        assert engine.encode_prompt("12") == (2, 4, 5)
        with pytest.raises(CheckpointError, match=r"makes token 12 \('9'\), its model knows 10 tokens"):
            engine.encode_prompt("19")
        with pytest.raises(CheckpointError, match="token 12"):
            engine.encode_completion("9")


TABLES = ("model.embed_tokens.weight", "lm_head.weight")
