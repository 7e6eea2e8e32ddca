"""What the kept samples of a measurement take: `python large_store.py FOLDER SAMPLES draw|measure`.

``draw`` writes them as an evaluation does, drawn by an engine that takes no time, in another order than the suite's;
``measure`` evaluates the folder: everything is there, so it is read, graded, counted and summarised.
"""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from timing import peak_gib

from quagpredict.checkpoint import weights_digest
from quagpredict.engines.contract import Request, Response
from quagpredict.evaluation import score_checkpoint
from quagpredict.evaluation.drawing import draw, draw_of
from quagpredict.evaluation.samples import SampleStore
from quagpredict.evaluation.suite import Suite, read_suite
from quagpredict.shipped import shipped_path

EACH = 250  # samples a problem
LENGTH = 40  # tokens of a response
BASE = shipped_path("datasets/lab-pilot/bases/weak")


class Instant:
    """An engine whose responses are there at once: some 75 letters that end in one of seven answers."""

    name, version = "instant", "0"
    end_tokens = (0,)

    def encode_prompt(self, prompt: str, *_: object) -> tuple[int, ...]:
        """Return a token a letter, so that prompts differ in length."""
        return tuple(prompt.encode())

    def encode_completion(self, completion: str) -> tuple[int, ...]:
        """Return a token a letter."""
        return tuple(completion.encode())

    def decode(self, tokens: Sequence[int]) -> str:
        """Return a sentence, another for other tokens, with the last token as its answer."""
        return f"Let us think step by step, {tokens[0]} {tokens[1]}, and see what remains: #### {tokens[-1]}"

    def generate(self, requests: Sequence[Request], *_: object) -> Iterator[tuple[int, list[Response]]]:
        """Yield the responses of each request."""
        for position, request in enumerate(requests):
            seeds = range(request.first, request.first + request.samples)
            yield (
                position,
                [
                    Response((position, seed, *range(LENGTH), seed * 7919 % 7), LENGTH, "stop", -1.0, 2.0, seed)
                    for seed in seeds
                ],
            )

    def close(self) -> None:
        """Return."""


def suite_of(folder: Path, samples: int) -> Suite:
    """Write, unless it is there, and read a suite of as many problems as so many samples are of."""
    path = folder / "suite.yaml"
    if not path.exists():
        problems = [{"q": f"{'1+' * (number % 50)}{number}=", "a": number % 7} for number in range(samples // EACH)]
        (folder / "problems.jsonl").write_text("\n".join(map(json.dumps, problems)))
        path.write_text(
            "name: large\nbenchmarks: [{name: b, path: problems.jsonl, question: q, answer: a}]\n"
            "sampling: {max_new_tokens: 64}\ngrading: {symbolic: false}\n"
        )
    return read_suite(path)


def main(folder: Path, samples: int, what: str) -> None:
    """Print what it took, in seconds of processor time, and the memory, as JSON."""
    suite, out = suite_of(folder, samples), folder / "run"
    began = time.process_time()
    if what == "draw":
        with SampleStore(out / "samples", draw_of(suite, weights_digest(BASE), "transformers"), print) as store:
            draw(store, suite, Instant, dict.fromkeys(suite.problems, EACH))
    else:
        found = score_checkpoint(BASE, suite, samples=EACH, engine="transformers", out=out)
        assert (found.drawn, int(found.problems["n"].sum())) == (0, samples // EACH * EACH)
    print(json.dumps({"seconds": time.process_time() - began, "gib": peak_gib()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
