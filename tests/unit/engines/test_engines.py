"""What every engine keeps to, whichever it is: `make test` runs it on transformers, `make test-vllm` on vLLM.

Where chance decides, the seeds are fixed and each test names the rate at which it would reject an engine that is right.
"""

from contextlib import closing

import numpy as np
import pytest
import torch
from scipy.stats import chi2

from quagpredict.engines.contract import Request, Sampling, sample_seed
from quagpredict.engines.table import ENGINES, engine_version, load_engine
from quagpredict.errors import CheckpointError

VLLM = pytest.param("vllm", marks=[pytest.mark.vllm, pytest.mark.filterwarnings("ignore")])  # its imports' warnings
NAMES = [VLLM if name == "vllm" else name for name in ENGINES]
PROMPTS = ["12+5=", "12+6=", "3*4=", "9-8=", "7", "00"]
FALSE_ALARM = 1e-4
WILD = 2.0  # a temperature at which responses differ; vLLM knows none above


@pytest.fixture(scope="module")
def model(checkpoint):
    """The model itself, for what no engine has touched."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(checkpoint).eval()


@pytest.fixture(scope="module", params=NAMES)
def loaded(request, checkpoint):
    with closing(load_engine(request.param, checkpoint)) as engine:
        yield engine


@pytest.fixture
def engine(loaded, monkeypatch):
    monkeypatch.setattr(loaded, "batch_size", 256)  # undone after the test, whatever it sets
    return loaded


def requests(engine, samples=24, first=0):
    return [Request(prompt, engine.encode_prompt(prompt), first, samples) for prompt in PROMPTS]


def tokens_of(drawn):
    return {position: [one.tokens for one in responses] for position, responses in drawn.items()}


def first_tokens(engine, samples, **settings):
    """The first token of that many samples, the end token included."""
    asked = Request("first", engine.encode_prompt("12+5="), 0, samples)
    ((_, drawn),) = engine.generate([asked], Sampling(max_new_tokens=1, **settings))
    return np.array([one.tokens[0] if one.tokens else engine.end_tokens[0] for one in drawn])


@torch.inference_mode()
def forward(model, prompt, completion):
    """Log-probabilities of the completion's tokens in one pass without a cache."""
    logits = model(torch.tensor([[*prompt, *completion]])).logits[0].double().log_softmax(-1)
    return np.array([float(logits[len(prompt) - 1 + step, token]) for step, token in enumerate(completion)])


def test_a_name_and_a_version_say_what_drew(engine):
    assert engine.name in ENGINES
    assert engine.version[0].isdigit()
    assert engine.version == engine_version(engine.name)


def test_a_prompt_has_one_start_token_and_a_completion_its_end(engine):
    assert engine.encode_prompt("12") == (2, 4, 5)
    assert engine.encode_completion("de")[-1] == 1
    assert engine.decode(engine.encode_completion("de")) == "de"
    assert engine.end_tokens == [1]


def test_a_sample_does_not_depend_on_its_batch_and_more_samples_only_add(engine):
    sampling = Sampling(max_new_tokens=12, temperature=WILD)
    whole = dict(engine.generate(requests(engine), sampling))
    engine.batch_size = 7
    again = dict(engine.generate(requests(engine), sampling))
    later = dict(engine.generate(requests(engine, samples=8, first=16), sampling))
    reversed_order = dict(engine.generate(requests(engine)[::-1], sampling))
    assert list(whole) != [] == list(engine.generate([], sampling))
    for position, responses in whole.items():
        assert [one.tokens for one in responses] == [one.tokens for one in again[position]]
        assert [one.tokens for one in responses] == [one.tokens for one in reversed_order[5 - position]]
        assert [one.tokens for one in responses[16:]] == [one.tokens for one in later[position]]
        assert [one.seed for one in responses] == [sample_seed(PROMPTS[position], index) for index in range(24)]
    assert len({one.tokens for responses in whole.values() for one in responses}) > 40


def test_the_budget_only_cuts(engine):
    short = dict(engine.generate(requests(engine), Sampling(max_new_tokens=4, temperature=WILD)))
    long = dict(engine.generate(requests(engine), Sampling(max_new_tokens=12, temperature=WILD)))
    for position, responses in short.items():
        assert [one.tokens for one in responses] == [one.tokens[:4] for one in long[position]]


def test_log_probabilities_are_those_of_one_forward_pass(engine, model):
    asked = requests(engine, samples=8)
    drawn = dict(engine.generate(asked, Sampling(max_new_tokens=12, temperature=WILD, top_k=9, top_p=0.9)))
    flat = [(asked[position].prompt, one) for position, responses in drawn.items() for one in responses]
    pairs = [(prompt, one.tokens + ((1,) if one.finish_reason == "stop" else ())) for prompt, one in flat]
    for (_, one), (prompt, completion), score in zip(flat, pairs, engine.completion_log_probs(pairs), strict=True):
        expected = forward(model, prompt, completion)
        assert len(score) == one.length
        np.testing.assert_allclose(score, expected, atol=1e-4)
        assert one.log_prob_sum == pytest.approx(expected.sum(), abs=1e-4)


def test_scores_do_not_depend_on_what_they_are_batched_with(engine):
    pairs = [(engine.encode_prompt("12+5="), engine.encode_completion("17")), (engine.encode_prompt("1"), (4, 1))]
    together = engine.completion_log_probs(pairs)
    for pair, score in zip(pairs, together, strict=True):
        np.testing.assert_allclose(engine.completion_log_probs([pair])[0], score, atol=1e-5)
    assert [len(score) for score in together] == [3, 2]
    assert engine.completion_log_probs([]) == []


def test_an_entropy_is_that_of_the_whole_vocabulary_or_none(engine, model):
    ((_, drawn),) = engine.generate([Request("one", engine.encode_prompt("12+5="), 0, 4)], Sampling(max_new_tokens=1))
    with torch.inference_mode():
        log_p = model(torch.tensor([engine.encode_prompt("12+5=")])).logits[0, -1].double().log_softmax(-1)
    whole = pytest.approx(-float((log_p.exp() * log_p).sum()), abs=1e-4)
    # vLLM gives the likeliest tokens alone: None. Every engine that gives a number gives this one.
    entropies = [one.entropy_sum for one in drawn]
    assert entropies == [None if engine.name == "vllm" else whole] * 4


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"temperature": 0.5},
        {"temperature": 2.0},
        {"top_k": 3},
        {"top_p": 0.8},
        {"temperature": 1.5, "top_k": 8, "top_p": 0.9},
    ],
    ids=str,
)
def test_the_first_token_has_the_distribution_that_the_settings_ask_for(engine, model, settings):
    samples = 3000
    with torch.inference_mode():
        logits = model(torch.tensor([engine.encode_prompt("12+5=")])).logits[0, -1].double().numpy()
    expected = samples * asked_for(logits, **settings)
    seen = np.bincount(first_tokens(engine, samples, **settings), minlength=len(logits))
    assert seen[expected == 0].sum() == 0
    large = expected >= 5
    groups = np.append(expected[large], expected[~large].sum()), np.append(seen[large], seen[~large].sum())
    kept = groups[0] > 0
    assert kept.sum() > 1
    statistic = ((groups[1] - groups[0])[kept] ** 2 / groups[0][kept]).sum()
    assert statistic < chi2.isf(FALSE_ALARM, kept.sum() - 1)


def asked_for(logits, temperature=1.0, top_k=0, top_p=1.0):
    """The distribution as the settings define it: temperature, then the k likeliest, then the nucleus of those."""
    p = np.exp((logits - logits.max()) / temperature)
    order = np.argsort(-p)
    if top_k:
        p[order[top_k:]] = 0
    p /= p.sum()
    before = np.cumsum(p[order]) - p[order]
    p[order[before >= top_p]] = 0
    return p / p.sum()


def test_a_response_is_cut_at_the_budget_or_ends_with_the_end_token(engine):
    drawn = dict(engine.generate(requests(engine, samples=64), Sampling(max_new_tokens=6, temperature=WILD)))
    flat = [one for responses in drawn.values() for one in responses]
    assert {one.finish_reason for one in flat} == {"stop", "length"}
    for one in flat:
        assert 1 not in one.tokens
        assert one.length == len(one.tokens) + (one.finish_reason == "stop")
        assert one.length <= 6
        assert one.finish_reason == "stop" or one.length == 6


def test_what_goes_beyond_the_context_is_refused(engine):
    with pytest.raises(CheckpointError, match="66 tokens, the checkpoint's context is 64"):
        list(engine.generate([Request("long", engine.encode_prompt("12345"), 0, 1)], Sampling(max_new_tokens=60)))
    with pytest.raises(CheckpointError, match="context is 64"):
        engine.completion_log_probs([(engine.encode_prompt("1"), (4,) * 80)])


def test_a_caller_may_stop_listening(engine):
    asked, sampling = requests(engine, samples=64), Sampling(max_new_tokens=12, temperature=WILD)
    whole = tokens_of(dict(engine.generate(asked, sampling)))
    engine.batch_size = 16
    unfinished = engine.generate(asked, sampling)
    position, responses = next(unfinished)
    unfinished.close()
    assert [one.tokens for one in responses] == whole[position]
    assert tokens_of(dict(engine.generate(asked, sampling))) == whole
