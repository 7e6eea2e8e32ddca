"""What the evaluator adds to its engine: the same prompts and settings, measured, against the engine called directly.

Ours reads no more than the suite; it draws, decodes, grades, counts, writes and scores the held-out solutions. The
yardstick draws and scores with the same engine, batches and seeds, and throws away what comes. The model is the lab's,
of 0.1 million parameters: the smaller the model, the more the evaluator's own share.

Both are one thread that waits for nothing, so their processor time is what the wall clock shows on an idle machine;
the wall clock of a busy one would decide over so small a difference.
"""

import time
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from timing import Figure, in_turn

from quagpredict.engines.contract import Request
from quagpredict.engines.table import load_engine
from quagpredict.evaluation import Suite, read_suite, score_checkpoint
from quagpredict.shipped import shipped_path

SAMPLES, BATCH = 256, 1024
MOST = 1.05


def measured(checkpoint: Path, suite: Suite) -> None:
    """Measure as the command does, files included."""
    with TemporaryDirectory() as folder:
        score_checkpoint(checkpoint, suite, samples=SAMPLES, engine="transformers", batch_size=BATCH, out=folder)


def engine_alone(checkpoint: Path, suite: Suite) -> None:
    """Draw and score the same with nothing around the engine."""
    with closing(load_engine("transformers", checkpoint, batch_size=BATCH)) as engine:
        asked = [
            Request(
                f"{suite.eval_protocol_id}/{one.benchmark}/{one.problem_id}",
                engine.encode_prompt(suite.prompt_of(one.question), suite.system_prompt),
                0,
                SAMPLES,
            )
            for one in suite.problems
        ]
        for _ in engine.generate(asked, suite.sampling):
            pass
        solved = [(suite.prompt_of(one.prompt), one.completion) for one in suite.held_out]
        engine.completion_log_probs(
            [(engine.encode_prompt(prompt), engine.encode_completion(completion)) for prompt, completion in solved]
        )


def measure() -> list[Figure]:
    """One figure; promised is at most a twentieth more than the engine alone."""
    torch.set_num_threads(1)
    checkpoint = shipped_path("datasets/lab-pilot/bases/weak")
    suite = read_suite(shipped_path("collectors/suites/lab-pilot.yaml"))
    calls = partial(measured, checkpoint, suite), partial(engine_alone, checkpoint, suite)
    ours, alone = in_turn(*calls, repeats=7, clock=time.process_time)
    note = f"{len(suite.problems)} problems x {SAMPLES} samples, processor time of one thread, transformers engine"
    kept = ours <= MOST * alone
    return [Figure("evaluate against its engine alone", ours, "engine alone", alone, f"<= {MOST} x", kept, note)]
