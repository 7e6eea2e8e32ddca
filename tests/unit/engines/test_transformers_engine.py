"""The reference engine against the model itself: same distribution, same log-probabilities, whatever the batch."""

import json
import shutil

import numpy as np
import pytest
import torch

from quagpredict.engines.contract import Request, Sampling
from quagpredict.errors import CheckpointError

LETTERS = "abcdefghijklmnop"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """An untrained model with a peaked distribution, so that every setting of sampling shows."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

    special = ["<pad>", "<eos>", "<bos>"]
    tokenizer = Tokenizer(models.WordLevel({token: i for i, token in enumerate([*special, *LETTERS])}, "<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.decoder = decoders.Fuse()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", bos_token="<bos>")
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(fast),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=16,
            intermediate_size=64,
            max_position_embeddings=64,
            tie_word_embeddings=False,
            pad_token_id=0,
            eos_token_id=1,
            bos_token_id=2,
        )
    )
    with torch.no_grad():
        model.lm_head.weight *= 40
    folder = tmp_path_factory.mktemp("checkpoint")
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


@pytest.fixture
def engine(checkpoint):
    from quagpredict.engines.transformers_engine import TransformersEngine

    return TransformersEngine(checkpoint, batch_size=64)


def requests(engine, samples=24, first=0):
    prompts = ["abc", "abd", "hello"[:4], "ponm", "a", "bb"]
    return [Request(prompt, engine.encode_prompt(prompt), first, samples) for prompt in prompts]


def test_a_sample_does_not_depend_on_its_batch_or_its_block(engine):
    sampling = Sampling(max_new_tokens=12)
    whole = dict(engine.generate(requests(engine), sampling))
    engine.batch_size = 7
    again = dict(engine.generate(requests(engine), sampling))
    later = dict(engine.generate(requests(engine, samples=8, first=16), sampling))
    for position, responses in whole.items():
        assert [one.tokens for one in responses] == [one.tokens for one in again[position]]
        assert [one.tokens for one in responses[16:]] == [one.tokens for one in later[position]]
        assert [one.seed for one in responses[16:]] == [one.seed for one in later[position]]
    assert len({one.tokens for responses in whole.values() for one in responses}) > 40


def test_log_probabilities_are_those_of_a_forward_pass_over_the_whole(engine):
    asked = requests(engine)
    drawn = dict(engine.generate(asked, Sampling(max_new_tokens=12, temperature=0.7, top_k=5, top_p=0.9)))
    flat = [(asked[position].prompt, one) for position, responses in drawn.items() for one in responses]
    ends = [(1,) if one.finish_reason == "stop" else () for _, one in flat]
    scores = engine.completion_log_probs(
        [(prompt, one.tokens + end) for (prompt, one), end in zip(flat, ends, strict=True)]
    )
    for (_, one), score in zip(flat, scores, strict=True):
        assert len(score) == one.length
        assert one.log_prob_sum == pytest.approx(score.sum(), abs=1e-4)


def test_the_first_token_follows_the_model(engine):
    prompt = engine.encode_prompt("abc")
    engine.batch_size = 5000
    drawn = dict(engine.generate([Request("abc", prompt, 0, 5000)], Sampling(max_new_tokens=1)))[0]
    first = np.array([one.tokens[0] if one.tokens else 1 for one in drawn])
    with torch.inference_mode():
        expected = engine.model(torch.tensor([prompt])).logits[0, -1].softmax(-1).double().numpy() * 5000
    large = expected > 5
    seen = np.bincount(first, minlength=len(expected))
    # Chi-square: at most 18 degrees of freedom, 99.99 % below 49.
    assert ((seen - expected)[large] ** 2 / expected[large]).sum() < 49
    entropy = -(expected / 5000 * np.log(expected / 5000)).sum()
    assert drawn[0].entropy_sum == pytest.approx(entropy, abs=1e-4)


def test_top_k_and_top_p_leave_out_what_they_should(engine):
    prompt = engine.encode_prompt("abc")
    engine.batch_size = 2000
    with torch.inference_mode():
        p = engine.model(torch.tensor([prompt])).logits[0, -1].softmax(-1).double().numpy()
    order = np.argsort(-p)
    nucleus = set(order[: int(np.searchsorted(np.cumsum(p[order]), 0.8)) + 1])

    def firsts(**settings):
        request = Request("abc", prompt, 0, 2000)
        drawn = dict(engine.generate([request], Sampling(max_new_tokens=1, **settings)))[0]
        return {one.tokens[0] if one.tokens else 1 for one in drawn}

    assert firsts(top_k=3) <= set(order[:3])
    assert firsts(top_p=0.8) <= nucleus
    assert firsts(temperature=0.01) == {order[0]}


def test_a_response_is_cut_at_the_budget_or_ends_with_the_end_token(engine):
    drawn = dict(engine.generate(requests(engine, samples=64), Sampling(max_new_tokens=6)))
    flat = [one for responses in drawn.values() for one in responses]
    assert {one.finish_reason for one in flat} == {"stop", "length"}
    for one in flat:
        assert 1 not in one.tokens
        assert one.length == len(one.tokens) + (one.finish_reason == "stop")
        assert one.length <= 6
        assert one.finish_reason == "stop" or one.length == 6


def test_scores_do_not_depend_on_what_they_are_batched_with(engine):
    pairs = [(engine.encode_prompt("abc"), engine.encode_completion("defg")), (engine.encode_prompt("a"), (4, 1))]
    together = engine.completion_log_probs(pairs)
    for pair, score in zip(pairs, together, strict=True):
        np.testing.assert_allclose(engine.completion_log_probs([pair])[0], score, atol=1e-5)
    assert [len(score) for score in together] == [5, 2]
    assert engine.encode_completion("de")[-1] == 1
    assert engine.decode(engine.encode_completion("de")) == "de"


def test_a_chat_template_writes_the_start_token_once(checkpoint, tmp_path):
    from quagpredict.engines.transformers_engine import TransformersEngine

    folder = tmp_path / "chat"
    shutil.copytree(checkpoint, folder)
    template = "{{ bos_token }}{% for m in messages %}{{ m['content'] }}{% endfor %}"
    (folder / "chat_template.jinja").write_text(template)
    tokens = TransformersEngine(folder).encode_prompt("cd", system_prompt="ab")
    assert tokens == (2, 3, 4, 5, 6)


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_a_folder_without_weights_or_config_is_named(checkpoint, tmp_path, missing):
    from quagpredict.engines.transformers_engine import TransformersEngine

    folder = tmp_path / "broken"
    shutil.copytree(checkpoint, folder)
    (folder / missing).unlink()
    with pytest.raises(CheckpointError, match=str(folder)):
        TransformersEngine(folder)


def test_unreadable_weights_are_a_checkpoint_error(checkpoint, tmp_path):
    from quagpredict.engines.transformers_engine import TransformersEngine

    folder = tmp_path / "broken"
    shutil.copytree(checkpoint, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "nonesuch"}))
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        TransformersEngine(folder)
    shutil.copy(checkpoint / "config.json", folder)
    (folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        TransformersEngine(folder)
