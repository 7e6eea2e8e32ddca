"""Engines that are loaded one after the other: a measurement by each is the same but for sampling error."""

import json
from dataclasses import replace

import numpy as np
import pytest
import yaml

from quagpredict.engines.contract import Request, Sampling
from quagpredict.engines.table import ENGINES, load_engine
from quagpredict.errors import UsageError
from quagpredict.evaluation import read_suite, score_checkpoint
from quagpredict.metrics import pass_at_k

VLLM = pytest.param("vllm", marks=[pytest.mark.vllm, pytest.mark.filterwarnings("ignore")])  # its imports' warnings
NAMES = [VLLM if name == "vllm" else name for name in ENGINES]


@pytest.mark.parametrize("name", NAMES)
def test_a_closed_engine_draws_nothing_more(name, checkpoint):
    engine = load_engine(name, checkpoint)
    engine.close()
    engine.close()
    with pytest.raises(UsageError, match="closed"):
        list(engine.generate([Request("one", (2,), 0, 1)], Sampling(max_new_tokens=1)))
    with pytest.raises(UsageError, match="closed"):
        engine.completion_log_probs([((2,), (4,))])


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    """Sums whose answers are single digits: an untrained model says the right one now and then."""
    folder = tmp_path_factory.mktemp("suite")
    rows = [{"problem": f"{a}+{b}=", "answer": str(a + b)} for a in range(6) for b in range(10 - a) if a + b < 10]
    solved = [{"prompt": "1+2=", "completion": "3"}, {"prompt": "9-8=", "completion": "01"}]
    for name, lines in (("sums", rows), ("solved", solved)):
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    described = {
        "name": "sums",
        "benchmarks": [{"name": "sums", "path": "sums.jsonl"}],
        "held_out": {"path": "solved.jsonl"},
        "sampling": {"max_new_tokens": 16},
        "grading": {"extraction": "last_digits", "digits": 1},
    }
    (folder / "suite.yaml").write_text(yaml.safe_dump(described))
    return read_suite(folder / "suite.yaml")


@pytest.fixture(scope="module")
def reference(checkpoint, suite):
    return score_checkpoint(checkpoint, suite, samples=64, engine="transformers")


@pytest.mark.parametrize("name", NAMES)
def test_engines_measure_the_same(name, checkpoint, suite, reference):
    # Another prompt text in the key: on transformers the same seeds would make this a comparison with itself.
    problems = tuple(replace(one, problem_id=f"again {one.problem_id}") for one in suite.problems)
    score = score_checkpoint(checkpoint, replace(suite, problems=problems), samples=64, engine=name)
    assert score.engine.startswith(name)
    assert score.measurement["held_out_loss_nats"] == pytest.approx(
        reference.measurement["held_out_loss_nats"], abs=1e-5
    )
    assert 0.02 < reference.measurement["pass_at_1"] < 0.5
    assert differs(score.problems, reference.problems) > 1e-3


def test_a_wrong_temperature_would_not_pass_for_the_same(checkpoint, suite, reference):
    colder = replace(suite, sampling=replace(suite.sampling, temperature=0.7))
    assert differs(score_checkpoint(checkpoint, colder, samples=64).problems, reference.problems) < 1e-3


def differs(ours, theirs, ks=(1, 4, 16), draws=4000):
    """The p value of "Pass@k is the same", for all k at once: it falls below a in a share a of right engines.

    If both drew from one distribution, which of a problem's samples came from which engine is exchangeable: given the
    sum of both counts, one of them is hypergeometric. The statistic is the largest difference of Pass@k in units of its
    spread under that.
    """
    c = np.stack([ours.sort("problem_id")["c"].to_numpy(), theirs.sort("problem_id")["c"].to_numpy()])
    n = int(ours["n"][0])
    generator = np.random.default_rng(0)
    total = c.sum(axis=0)
    drawn = generator.hypergeometric(total, 2 * n - total, n, size=(draws, len(total)))
    counts = np.concatenate([c[:1], drawn])
    gaps = np.stack([(pass_at_k(n, counts, k) - pass_at_k(n, total - counts, k)).mean(axis=1) for k in ks])
    largest = (np.abs(gaps) / gaps[:, 1:].std(axis=1, keepdims=True)).max(axis=0)
    return float((largest >= largest[0]).mean())
