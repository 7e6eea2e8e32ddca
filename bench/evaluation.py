"""Evaluating a lab checkpoint, 200 problems x 256 samples on one thread, against transformers' own `generate`."""

import time
from collections import defaultdict
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from timing import Figure, in_turn
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from quagpredict.evaluation import Suite, read_suite, score_checkpoint
from quagpredict.lab import Mixture
from quagpredict.shipped import shipped_path

PROBLEMS, SAMPLES, BATCH = 200, 256, 1024
LIMIT_S = 60


def suite_of_200() -> Suite:
    """Return the pilot's suite with 200 problems of the same three kinds in place of its 160."""
    suite = read_suite(shipped_path("collectors/suites/lab-pilot.yaml"))
    data = {"sources": [{"operators": "+-"}, {"operators": "+-*", "required": "*"}, {"operators": "^", "share": 1}]}
    drawn = Mixture.from_mapping(data).problems(PROBLEMS, split="test", seed=1)
    first = suite.problems[0]
    problems = [replace(first, problem_id=one.prompt, question=one.prompt, answer=one.answer) for one in drawn]
    return replace(suite, problems=tuple(problems))


def generated(checkpoint: Path, suite: Suite) -> None:
    """Draw as many samples of the same prompts with `generate`, prompts of one length together; nothing is graded."""
    transformers_logging.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForCausalLM.from_pretrained(checkpoint).eval()
    by_length = defaultdict(list)
    for problem in suite.problems:
        tokens = tokenizer(problem.question)["input_ids"]
        by_length[len(tokens)].append(tokens)
    settings = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "num_return_sequences": SAMPLES}
    with torch.inference_mode():
        for prompts in by_length.values():
            for start in range(0, len(prompts), BATCH // SAMPLES):
                batch = torch.tensor(prompts[start : start + BATCH // SAMPLES])
                model.generate(batch, max_new_tokens=suite.sampling.max_new_tokens, **settings)


def measure() -> list[Figure]:
    """One figure; promised are under 60 s, imports left out."""
    torch.set_num_threads(1)
    checkpoint = shipped_path("datasets/lab-pilot/bases/weak")
    suite = suite_of_200()
    started = time.perf_counter()
    score_checkpoint(checkpoint, suite, samples=2)  # what is imported late, once
    warm = time.perf_counter() - started
    ours, theirs = in_turn(
        partial(score_checkpoint, checkpoint, suite, samples=SAMPLES, batch_size=BATCH),
        partial(generated, checkpoint, suite),
        repeats=3,
    )
    name = f"evaluate {PROBLEMS} problems x {SAMPLES} samples"
    note = f"one thread; generate draws only, ours also grades, counts, scores; first start {warm:.1f} s"
    return [Figure(name, ours, "generate alone", theirs, f"< {LIMIT_S} s", ours < LIMIT_S, note)]
