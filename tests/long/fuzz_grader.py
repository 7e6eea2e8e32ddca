"""Fuzz the grader: no hang, no crash, nothing over 5 s or 512 MiB, no "correct" among the known-wrong.

python tests/long/fuzz_grader.py --answers 100000 --seed 0

The whole of it takes half an hour on two cores; `make test` runs a short one (tests/unit/answers/test_fuzz.py).
"""

import argparse
import resource
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # for hostile_answers, which is no package's

import hostile_answers
from hostile_answers import Case

from quagpredict.answers import GradingPolicy, grade, grade_many, symbolic

LIMIT_S, LIMIT_MIB = 5.0, 512.0
CHUNK = 1000


@dataclass
class Watch:
    """What was measured: seconds of processor time and peak MiB, and the answer each belongs to."""

    text_s: tuple[float, str] = (0.0, "")
    worker_s: tuple[float, str] = (0.0, "")
    worker_wall_s: tuple[float, str] = (0.0, "")
    resident_mib: tuple[float, str] = (0.0, "")
    address_mib: tuple[float, str] = (0.0, "")
    pairs: int = 0

    def note(self, name: str, value: float, what: str) -> None:
        setattr(self, name, max(getattr(self, name), (value, what[:100])))


@dataclass
class Report:
    """Verdicts by kind, mistakes, and the watch."""

    verdicts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    wrongly_correct: list[Case] = field(default_factory=list)
    wrongly_refused: list[Case] = field(default_factory=list)
    executed: bool = False
    answers: int = 0
    watch: Watch = field(default_factory=Watch)

    def faults(self) -> list[str]:
        """One line for each promise that was not kept."""
        watch = self.watch
        checks = {
            f"{len(self.wrongly_correct)} known-wrong are correct": bool(self.wrongly_correct),
            f"{len(self.wrongly_refused)} known-right are not": bool(self.wrongly_refused),
            "model text was executed": self.executed,
            f"{max(watch.text_s, watch.worker_s)} s for one answer": max(watch.text_s, watch.worker_s)[0] > LIMIT_S,
            f"{watch.resident_mib} MiB in a worker": watch.resident_mib[0] > LIMIT_MIB,
        }
        return [text for text, failed in checks.items() if failed]


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Measure each pair that a worker is given: processor and wall time, and the worker's peak memory."""
    send, hear, lose = symbolic._Worker.send, symbolic._Pool._hear, symbolic._Pool._lose
    begun: dict[int, tuple[float, float]] = {}

    def sent(worker: Any, pair: symbolic.Pair, *limits: float) -> None:
        begun[worker.process.pid] = (time.monotonic(), symbolic._processor_seconds(worker.process.pid) or 0.0)
        send(worker, pair, *limits)

    def done(worker: Any) -> None:
        if worker.pair is None:
            return
        wall, used = begun[worker.process.pid]
        text = worker.pair[0]
        watch.pairs += 1
        watch.note("worker_wall_s", time.monotonic() - wall, text)
        watch.note("worker_s", (symbolic._processor_seconds(worker.process.pid) or used) - used, text)
        for name, key in (("resident_mib", "VmHWM"), ("address_mib", "VmPeak")):
            watch.note(name, _status_mib(worker.process.pid, key), text)

    def heard(pool: Any, worker: Any, verdicts: Any) -> None:
        done(worker)
        hear(pool, worker, verdicts)

    def lost(pool: Any, worker: Any, verdicts: Any, verdict: Any) -> None:
        if worker.process.poll() is None:
            done(worker)
        lose(pool, worker, verdicts, verdict)

    symbolic._Worker.send, symbolic._Pool._hear, symbolic._Pool._lose = sent, heard, lost  # type: ignore[method-assign]
    try:
        yield
    finally:
        symbolic._Worker.send, symbolic._Pool._hear, symbolic._Pool._lose = send, hear, lose  # type: ignore[method-assign]


def _status_mib(pid: int, key: str) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(key + ":")), 0.0)


def fuzz(answers: int, seed: int, policy: GradingPolicy, first: int = 0, say: Any = None) -> Report:
    """Grade so many hostile answers, from the first on, and report; an interrupt reports what was done so far."""
    report = Report()
    text_only = GradingPolicy()
    with TemporaryDirectory() as folder, watched(report.watch):
        canary = Path(folder) / "canary"
        for start in range(first, first + answers, CHUNK):
            cases = [
                hostile_answers.case(seed, at, str(canary)) for at in range(start, min(start + CHUNK, first + answers))
            ]
            try:
                for one in cases:
                    begun = time.thread_time()
                    grade(one.response, one.gold, policy=text_only)
                    report.watch.note("text_s", time.thread_time() - begun, one.response)
                grades = grade_many([one.response for one in cases], [one.gold for one in cases], policy=policy)
            except KeyboardInterrupt:
                break
            report.answers += len(cases)
            for one, graded in zip(cases, grades, strict=True):
                report.verdicts[one.kind][graded.verdict] += 1
                if one.truth is False and graded.verdict == "correct":
                    report.wrongly_correct.append(one)
                if one.truth is True and graded.verdict != "correct":
                    report.wrongly_refused.append(one)
            report.executed |= canary.exists()
            if say:
                say(f"{report.answers} of {answers}: {report.watch}")
    return report


def main() -> int:
    """Fuzz and print; 1 if a promise was not kept."""
    parser = argparse.ArgumentParser(description="Fuzz the grader with hostile answers.")
    parser.add_argument("--answers", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first answer, to do it in parts")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    begun = time.monotonic()
    policy = GradingPolicy(symbolic=True)
    report = fuzz(args.answers, args.seed, policy, args.first, lambda text: print(text, file=sys.stderr, flush=True))
    for kind, verdicts in sorted(report.verdicts.items()):
        print(f"{kind:<15} {sum(verdicts.values()):>7}  " + ", ".join(f"{v} {n}" for v, n in verdicts.most_common()))
    for name, (value, text) in ((n, v) for n, v in vars(report.watch).items() if n != "pairs"):
        print(f"{name:<15} {value:>9.3f}  at {text!r}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{report.watch.pairs} pairs reached a worker; this process peaked at {peak:.0f} MiB")
    print(f"{report.answers} answers from {args.first}, seed {args.seed}, {time.monotonic() - begun:.0f} s")
    for one in [*report.wrongly_correct, *report.wrongly_refused][:50]:
        print(f"MISTAKE ({one.kind}, truth {one.truth}): gold {one.gold!r}, response {one.response[:300]!r}")
    faults = report.faults()
    print("kept" if not faults else "MISSED: " + "; ".join(faults))
    return int(bool(faults))


if __name__ == "__main__":
    raise SystemExit(main())
