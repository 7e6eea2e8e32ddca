import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from quagpredict.answers import GradingPolicy, grade, grade_many, symbolic
from quagpredict.errors import MissingExtraError, QuagpredictError

POLICY = GradingPolicy(symbolic=True, time_limit_s=20.0)  # a busy test machine must not decide
SHORT = GradingPolicy(symbolic=True, time_limit_s=0.5)


def summed(name, factor="x", last=3):
    """A sum that the grader does not compute itself."""
    return rf"\sum_{{{name}=1}}^{{{last}}} {name} {factor}"


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        (summed("j"), summed("k")),
        (r"\int_0^1 t\,dt", r"\int_0^1 x\,dx"),
        (r"\{1,2\} \cap \{2,3\}", r"\{2,3\} \cap \{1,2\}"),
    ],
)
def test_what_reading_and_values_leave_open_is_decided(answer, gold):
    assert grade(f"\\boxed{{{answer}}}", gold, policy=POLICY).verdict == "correct"
    assert grade(f"\\boxed{{{answer}}}", gold).verdict == "wrong"


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("x^2 + 1", "x^2 - 1"),
        ("[1,2)", "(1,2)"),
        ("the number 5 or not", "5"),
        ("5 cm", "5 m"),
        ("__import__('os').system('true')", "0"),
        ("\x00", "0"),
        ("\ud800x", "0"),
        (r"\frac{", "0"),
    ],
)
def test_known_wrong_stays_wrong(answer, gold):
    assert grade(f"\\boxed{{{answer}}}", gold, policy=POLICY).verdict in ("wrong", "no_answer")


HARD = [rf"\int_0^1 \sin(x^3) \ln(x) \sqrt{{1+x^{n}}} \cos(x) dx" for n in (5, 7)]


def test_a_pair_that_takes_too_long_is_killed_remembered_and_the_next_is_graded(monkeypatch):
    answer, gold = HARD
    assert grade(f"\\boxed{{{answer}}}", gold, policy=SHORT).verdict == "timeout"
    assert grade(f"\\boxed{{{summed('k', 'y')}}}", summed("j", "y"), policy=POLICY).verdict == "correct"
    monkeypatch.setattr(symbolic._Pool, "compare", refuse)
    assert grade(f"\\boxed{{{answer}}}", gold, policy=SHORT).verdict == "timeout"


def test_time_runs_out_without_processor_times_too(monkeypatch):
    monkeypatch.setattr(symbolic, "_processor_seconds", lambda pid: None)
    answer, gold = HARD
    assert grade(f"\\boxed{{{answer} + 1}}", gold, policy=SHORT).verdict == "timeout"


def refuse(*_):
    raise AssertionError("asked a worker again")


@pytest.mark.parametrize(
    "answer", ["9^{9^9}", "2^{3^{x}}", r"\sqrt{2^{2^{30}}}", r"\pi**(x+1)**e", "(9^{9})^{9^{9}}", "10^{10^{10}}"]
)
def test_towers_of_powers_never_reach_a_worker(monkeypatch, answer):
    monkeypatch.setattr(symbolic._Pool, "compare", refuse)
    assert grade(f"\\boxed{{{answer}}}", "5", policy=POLICY).verdict == "wrong"
    assert grade(f"\\boxed{{{answer}}}", answer, policy=POLICY).verdict == "correct"


def test_tiny_numbers_are_not_rounded_to_the_same():
    tiny = [rf"\sum_{{k=1}}^{{3}} \frac{{k}}{{{n}!}}" for n in (30, 31)]
    assert grade(f"\\boxed{{{tiny[0]}}}", tiny[1], policy=POLICY).verdict == "wrong"


def test_verdicts_are_remembered_over_calls(monkeypatch):
    grade(f"\\boxed{{{summed('j', 'z')}}}", summed("k", "z"), policy=POLICY)
    monkeypatch.setattr(symbolic._Pool, "compare", refuse)
    assert grade(f"again \\boxed{{{summed('j', 'z')}}}", summed("k", "z"), policy=POLICY).verdict == "correct"


def test_a_worker_that_dies_costs_one_pair_only():
    grade(f"\\boxed{{{summed('m')}}}", summed("n"), policy=POLICY)
    for worker in symbolic._pools[POLICY.memory_limit_mib].workers:
        worker.process.kill()
        worker.process.wait()
    responses = [f"\\boxed{{{summed('j', last=n)}}}" for n in range(4, 10)]
    graded = grade_many(responses, [summed("k", last=n) for n in range(4, 10)], policy=POLICY)
    verdicts = [item.verdict for item in graded]
    assert set(verdicts) <= {"correct", "error"}
    assert verdicts.count("correct") >= 4


def test_grading_works_off_the_main_thread():
    found = []
    response, gold = f"\\boxed{{{summed('j', 'w')}}}", summed("k", "w")
    thread = threading.Thread(target=lambda: found.append(grade(response, gold, policy=POLICY).verdict))
    thread.start()
    thread.join()
    assert found == ["correct"]


SCRIPT = """
import os, sys
from quagpredict.answers import GradingPolicy, grade, symbolic
policy = GradingPolicy(symbolic=True, time_limit_s=20.0)
one = r"\\sum_{k=1}^{3} k %s"
other = r"So \\boxed{\\sum_{j=1}^{3} j %s}"
print(grade(other % "x", one % "x", policy=policy).verdict, flush=True)
print(symbolic._pools[512].workers[0].process.pid, flush=True)
"""
FORK = """
child = os.fork()
if child == 0:
    print(grade(other % "y", one % "y", policy=policy).verdict, flush=True)
    symbolic.close_workers()
    os._exit(0)
os.waitpid(child, 0)
print(grade(other % "z", one % "z", policy=policy).verdict, flush=True)
"""


def test_a_forked_child_has_workers_of_its_own():
    lines = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT + FORK], capture_output=True, text=True, check=True
    ).stdout.split()
    assert lines[0] == lines[2] == lines[3] == "correct"


def test_workers_end_with_a_killed_parent():
    parent = subprocess.Popen(
        [sys.executable, "-c", SCRIPT + "sys.stdin.read()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout.readline() == "correct\n"
        worker = int(parent.stdout.readline())
        os.kill(parent.pid, signal.SIGKILL)
    for _ in range(200):
        if not _runs(worker):
            break
        time.sleep(0.05)
    assert not _runs(worker)


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_without_math_verify_the_extra_is_named(monkeypatch):
    def missing(name):
        raise MissingExtraError('pip install "quagpredict[grade]"')

    monkeypatch.setattr(symbolic, "find_spec", lambda name: None)
    monkeypatch.setattr(symbolic, "require", missing)
    with pytest.raises(MissingExtraError, match="grade"):
        grade(f"\\boxed{{{summed('j', 'v')}}}", summed("k", "v"), policy=POLICY)


def test_a_worker_that_cannot_start_is_reported(monkeypatch, tmp_path):
    broken = tmp_path / "worker.py"
    broken.write_text("raise SystemExit(1)\n")
    monkeypatch.setattr(symbolic, "_PROGRAM", broken)
    policy = GradingPolicy(symbolic=True, memory_limit_mib=600)
    with pytest.raises(QuagpredictError, match=r"ended before it was ready \(exit status"):
        grade(f"\\boxed{{{summed('j', 'u')}}}", summed("k", "u"), policy=policy)
