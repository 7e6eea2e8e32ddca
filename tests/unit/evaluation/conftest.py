import math

import numpy as np
import pytest
import yaml

from quagpredict.engines.contract import Response, sample_seed
from quagpredict.evaluation import read_suite
from quagpredict.evaluation import score as module
from quagpredict.shipped import shipped_path


class KnownEngine:
    """Answers right in a fixed share of samples; scores every token with the same probability."""

    name = "known"
    version = "1"

    def __init__(self, suite):
        self.end_tokens = [0]
        self.answers = {problem.question: problem.answer for problem in suite.problems}
        self.drawn = []

    def encode_prompt(self, prompt, system_prompt=None):
        return tuple(map(ord, prompt))

    def encode_completion(self, completion):
        return (*map(ord, completion), 0)

    def decode(self, tokens):
        return "".join(chr(token) for token in tokens if token)

    def close(self):
        pass

    def generate(self, requests, sampling):
        for position, request in reversed(list(enumerate(requests))):
            answer = self.answers["".join(map(chr, request.prompt))]
            responses = []
            for index in range(request.first, request.first + request.samples):
                # Sample 0 is wrong (another digit), sample 1 is cut, sample 2 says nothing, the rest is right.
                text = {0: answer[:-1] + "x", 1: answer, 2: ""}.get(index, answer)
                reason = "length" if index == 1 else "stop"
                seed = sample_seed(request.key, index)
                responses.append(Response(tuple(map(ord, text)), len(text) + 1, reason, -1.5, 2.5, seed))
            self.drawn += [(request.key, index) for index in range(request.first, request.first + request.samples)]
            yield position, responses

    def completion_log_probs(self, pairs):
        return [np.full(len(completion), math.log(0.5)) for _, completion in pairs]


@pytest.fixture
def suite(tmp_path):
    data = {"operators": "+-", "lengths": [1, 3]}
    path = tmp_path / "suite.yaml"
    described = {
        "name": "tiny",
        "benchmarks": [{"name": "one", "lab": {"problems": 6, "data": data}}],
        "held_out": {"lab": {"problems": 5, "data": data}},
        "sampling": {"max_new_tokens": 20},
        "grading": {"extraction": "last_digits", "digits": 3},
    }
    path.write_text(yaml.safe_dump(described))
    return read_suite(path)


@pytest.fixture
def checkpoint():
    return shipped_path("datasets/lab-pilot/bases/weak")


@pytest.fixture
def known(monkeypatch, suite):
    """The engine that is loaded in place of a real one; `loaded` counts how often."""
    engine = KnownEngine(suite)
    engine.loaded = 0

    def load(*_, **__):
        engine.loaded += 1
        return engine

    monkeypatch.setattr(module, "load_engine", load)
    return engine
