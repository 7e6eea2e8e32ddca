"""Two real workers draw what one engine draws, whoever dies meanwhile."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch

from quagpredict.engines import parallel
from quagpredict.engines.contract import Request, Response, Sampling
from quagpredict.engines.table import load_engine
from quagpredict.errors import CheckpointError, QuagpredictError, UsageError

PROMPTS = ["12+5=", "12+6=", "3*4=", "9-8=", "7", "00"]
SAMPLING = Sampling(max_new_tokens=12, temperature=2.0)


def requests(engine, samples=100):
    return [Request(prompt, engine.encode_prompt(prompt), 3, samples) for prompt in PROMPTS]


def tokens_of(drawn):
    return {position: [one.tokens for one in responses] for position, responses in drawn.items()}


@pytest.fixture(scope="module")
def single(checkpoint):
    with closing(load_engine("transformers", checkpoint)) as engine:
        yield engine


@pytest.fixture(scope="module")
def expected(single):
    return dict(single.generate(requests(single), SAMPLING))


@pytest.fixture(scope="module")
def both(checkpoint):
    with closing(load_engine("transformers", checkpoint, workers=2, batch_size=16)) as engine:
        yield engine


def test_two_workers_draw_the_samples_of_one(both, single, expected):
    assert (both.name, both.version) == (single.name, single.version)
    drawn = dict(both.generate(requests(both), SAMPLING))
    assert tokens_of(drawn) == tokens_of(expected)
    for position, responses in drawn.items():
        for one, other in zip(responses, expected[position], strict=True):
            assert (one.seed, one.length, one.finish_reason) == (other.seed, other.length, other.finish_reason)
            assert one.log_prob_sum == pytest.approx(other.log_prob_sum, abs=1e-4)
    assert list(both.generate([], SAMPLING)) == []


def test_two_workers_score_like_one(both, single, expected):
    pairs = [(single.encode_prompt(PROMPTS[at]), one.tokens) for at, some in expected.items() for one in some[:10]]
    for score, other in zip(both.completion_log_probs(pairs), single.completion_log_probs(pairs), strict=True):
        np.testing.assert_allclose(score, other, atol=1e-5)


def test_the_block_of_a_killed_worker_is_drawn_again(both, expected):
    first = both._workers[0].process.pid
    drawing = both.generate(requests(both), SAMPLING)
    drawn = dict([next(drawing)])
    os.kill(first, signal.SIGKILL)
    for position, responses in drawing:
        assert position not in drawn
        drawn[position] = responses
    assert tokens_of(drawn) == tokens_of(expected)
    drawn = dict(both.generate(requests(both), SAMPLING))  # by now it is missed, and replaced
    assert tokens_of(drawn) == tokens_of(expected)
    assert first not in {worker.process.pid for worker in both._workers if worker is not None}


def test_workers_that_hang_are_replaced(both, expected, monkeypatch):
    """Stopped, they say nothing for ever; what they owe is drawn by others."""
    before = [worker.process.pid for worker in both._workers]
    wait, silences = parallel.wait, iter([True])

    def waited(connections, timeout):
        assert timeout == parallel._SILENCE
        return [] if next(silences, False) else wait(connections, timeout)

    monkeypatch.setattr(parallel, "wait", waited)
    for process in before:
        os.kill(process, signal.SIGSTOP)
    assert tokens_of(dict(both.generate(requests(both), SAMPLING))) == tokens_of(expected)
    assert not {worker.process.pid for worker in both._workers} & set(before)


def test_a_caller_may_stop_listening(both, expected):
    unfinished = both.generate(requests(both), SAMPLING)
    next(unfinished)
    unfinished.close()
    assert tokens_of(dict(both.generate(requests(both), SAMPLING))) == tokens_of(expected)


def test_what_a_worker_refuses_is_raised_here(both):
    with pytest.raises(CheckpointError, match="context is 64"):
        both.completion_log_probs([((2,), (4,) * 80)])
    with pytest.raises(CheckpointError, match="context is 64"):
        list(both.generate(requests(both), Sampling(max_new_tokens=60)))


def test_a_checkpoint_that_cannot_be_loaded_is_one_error(checkpoint, tmp_path):
    import shutil

    folder = shutil.copytree(checkpoint, tmp_path / "broken")
    (folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        load_engine("transformers", folder, workers=2)


def test_workers_that_die_again_and_again_end_it(checkpoint, monkeypatch):
    class Dying(parallel._Worker):
        def __init__(self, *words):
            super().__init__(*words)
            self.process.kill()

    monkeypatch.setattr(parallel, "_Worker", Dying)
    with pytest.raises(QuagpredictError, match=r"3 workers .* exit status -9"):
        load_engine("transformers", checkpoint, workers=2)


def test_workers_end_with_their_parent(checkpoint):
    program = (
        "import sys, time\n"
        "from quagpredict.engines.table import load_engine\n"
        "engine = load_engine('transformers', sys.argv[1], workers=2)\n"
        "print(*[worker.process.pid for worker in engine._workers], flush=True)\n"
        "time.sleep(600)\n"
    )
    path = os.pathsep.join(entry for entry in sys.path if entry)
    with subprocess.Popen(
        [sys.executable, "-c", program, str(checkpoint)], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}
    ) as parent:
        workers = parent.stdout.readline().split()
        assert len(workers) == 2
        parent.kill()
    deadline = time.monotonic() + 60
    while any(alive(int(pid)) for pid in workers):
        assert time.monotonic() < deadline, "the workers outlived their parent"
        time.sleep(0.05)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_first_blocks_come_first_and_then_the_longest_expected():
    asked = [Request("a", (1,), 0, 70), Request("b", (1,), 5, 40)]
    blocks = list(parallel._blocks(asked))
    assert [(one.request.key, one.request.first, one.request.samples) for one in blocks] == [
        ("a", 0, 32),
        ("b", 5, 32),
        ("a", 32, 32),
        ("b", 37, 8),
        ("a", 64, 6),
    ]
    waiting = [3.0, 1.0, 8.0, 4.0]
    assert parallel._hand(waiting, float, 4) == [8.0]
    assert parallel._hand(waiting, float, 1) == [4.0, 3.0, 1.0]
    assert waiting == []


def test_hands_shrink_to_single_blocks():
    waiting, sizes = [1.0] * 100, []
    while waiting:
        sizes.append(len(parallel._hand(waiting, float, 4)))
    assert sizes == sorted(sizes, reverse=True)
    assert (sizes[0], sizes[-1], sum(sizes)) == (25, 1, 100)


@pytest.mark.parametrize(
    ("count", "visible", "workers", "each", "expected"),
    [
        (0, None, 3, 1, [None] * 3),
        (4, None, 2, 1, ["0", "1"]),
        (4, None, 2, 2, ["0,1", "2,3"]),
        (2, "5,GPU-a", 2, 1, ["5", "GPU-a"]),
    ],
)
def test_each_worker_has_gpus_of_its_own(monkeypatch, count, visible, workers, each, expected):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert parallel.device_groups(workers, each) == expected


def test_too_few_gpus_are_said(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    with pytest.raises(UsageError, match="2 workers of 2 GPUs need 4 GPUs, 3 are visible"):
        parallel.device_groups(2, 2)


def test_responses_travel_whole():
    import pickle

    response = Response((1, 2), 3, "stop", -1.5, None, 2**64 - 1)
    assert pickle.loads(pickle.dumps(response)) == response
