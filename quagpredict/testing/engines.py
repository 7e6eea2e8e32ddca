"""The contract of an engine, for anyone's own; what it holds is no matter of chance."""

from collections.abc import Sequence

import numpy as np

from quagpredict.engines.contract import Engine, Request, Response, Sampling, sample_seed
from quagpredict.testing import held

Drawn = dict[int, list[Response]]


def check_engine(engine: Engine, prompts: Sequence[str], *, samples: int = 6, max_new_tokens: int = 8) -> None:
    """Hold a loaded engine to what every engine keeps to.

    A sample depends on its seed alone: not on the other prompts, their order, or how many samples are asked for; a
    smaller budget only cuts; finish reason and length agree with the tokens; and what `completion_log_probs` says of a
    drawn response is what drawing it said.

    Parameters
    ----------
    engine : Engine
    prompts : sequence of str
        Two at least that the checkpoint can answer.
    samples, max_new_tokens : int
        Of each prompt; few are enough.

    Raises
    ------
    AssertionError
        At the first thing that does not hold; the message says which.
    """
    held(engine.name, "an engine has a name")
    held(engine.version, "an engine has a version")
    held(engine.end_tokens, "an engine knows the tokens that end a response")
    sampling = Sampling(max_new_tokens=max_new_tokens, temperature=1.0)

    def drawn(first: int, count: int, how: Sampling = sampling, order: int = 1) -> Drawn:
        asked = [Request(text, engine.encode_prompt(text), first, count) for text in prompts][::order]
        answered = dict(engine.generate(asked, how))
        held(sorted(answered) == list(range(len(prompts))), "each request is answered once")
        return answered if order == 1 else {len(prompts) - 1 - at: responses for at, responses in answered.items()}

    whole = drawn(0, samples)
    for at, responses in whole.items():
        held(len(responses) == samples, "a request gets as many samples as it asks for")
        seeds = [sample_seed(prompts[at], index) for index in range(samples)]
        held([response.seed for response in responses] == seeds, "a sample's seed is that of its problem and index")
        for response in responses:
            held(
                response.length == len(response.tokens) + (response.finish_reason == "stop"),
                "the length counts the end token",
            )
            held(response.finish_reason in ("stop", "length"), "a response ends by itself or by the budget")
            held(response.length <= max_new_tokens, "no response is longer than the budget")
    later = drawn(samples // 2, samples - samples // 2)
    backwards, short = drawn(0, samples, order=-1), drawn(0, samples, Sampling(max_new_tokens=2, temperature=1.0))
    for at, responses in whole.items():
        tokens = [response.tokens for response in responses]
        held(
            tokens[samples // 2 :] == [response.tokens for response in later[at]], "more samples only add to the first"
        )
        held(tokens == [response.tokens for response in backwards[at]], "the order of requests does not matter")
        held(
            [text[:2] for text in tokens] == [response.tokens[:2] for response in short[at]],
            "a smaller budget only cuts",
        )
    held(list(engine.generate([], sampling)) == [], "no request gives no response")
    end = (engine.end_tokens[0],)
    pairs, drawn_sums = [], []
    for at, responses in whole.items():
        for response in responses:
            if response.finish_reason == "length" or len(engine.end_tokens) == 1:
                closed = response.tokens + (end if response.finish_reason == "stop" else ())
                pairs.append((engine.encode_prompt(prompts[at]), closed))
                drawn_sums.append(response.log_prob_sum)
    scored = engine.completion_log_probs(pairs)
    held(
        [len(scores) for scores in scored] == [len(tokens) for _, tokens in pairs],
        "every token of a completion is scored",
    )
    sums = np.array([float(np.sum(scores)) for scores in scored])
    held(np.allclose(sums, drawn_sums, atol=1e-2), "a drawn response has the log-probability that scoring it gives")
