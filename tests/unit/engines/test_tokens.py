"""What engines take from a checkpoint's folder before any weight is loaded, and folders that are none."""

import json
import shutil

import pytest

from quagpredict.engines.tokens import Tokens
from quagpredict.errors import CheckpointError


@pytest.fixture
def folder(checkpoint, tmp_path):
    """A checkpoint of its own, to be changed."""
    return shutil.copytree(checkpoint, tmp_path / "changed")


def change(file, **keys):
    content = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({key: value for key, value in (content | keys).items() if value is not None}))


def test_a_chat_template_writes_the_start_token_once(folder):
    template = "{{ bos_token }}{% for m in messages %}{{ m['content'] }}{% endfor %}"
    (folder / "chat_template.jinja").write_text(template)
    assert Tokens(folder).encode_prompt("12", system_prompt="00") == (2, 3, 3, 4, 5)


def test_without_a_template_the_system_prompt_stands_before_the_prompt(folder):
    assert Tokens(folder).encode_prompt("12", system_prompt="0")[:2] == (2, 3)
    assert Tokens(folder).encode_prompt("12", system_prompt="0").count(2) == 1


def test_the_context_is_the_models(folder):
    tokens = Tokens(folder)
    tokens.check_context(64)
    with pytest.raises(CheckpointError, match="65 tokens, the checkpoint's context is 64"):
        tokens.check_context(65)


def test_end_tokens_are_those_of_model_and_tokenizer(folder):
    change(folder / "generation_config.json", eos_token_id=[5, 7])
    assert Tokens(folder).end_tokens == [1, 5, 7]
    (folder / "generation_config.json").unlink()
    change(folder / "config.json", eos_token_id=9)
    assert Tokens(folder).end_tokens == [1, 9]


def test_a_checkpoint_without_end_token_is_refused(folder):
    (folder / "generation_config.json").unlink()
    change(folder / "config.json", eos_token_id=None)
    change(folder / "tokenizer_config.json", eos_token=None)
    with pytest.raises(CheckpointError, match="names no end token"):
        Tokens(folder)


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_a_folder_without_weights_or_config_is_named(folder, missing):
    (folder / missing).unlink()
    with pytest.raises(CheckpointError, match=str(folder)):
        Tokens(folder)
