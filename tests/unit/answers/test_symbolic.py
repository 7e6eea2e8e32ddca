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


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("x + x", "2x"),
        (r"\sqrt{8}", r"2\sqrt{2}"),
        (r"\frac{\sqrt{2}}{2}", r"\frac{1}{\sqrt{2}}"),
        (r"1 \pm \sqrt{19}", r"1+\sqrt{19}, 1-\sqrt{19}"),
        ("-80 + 15x", "15x - 80"),
        (r"\sqrt{4}", "2"),
    ],
)
def test_what_text_and_numbers_leave_open_is_decided(answer, gold):
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


def test_a_pair_that_takes_too_long_is_killed_and_the_next_is_graded():
    assert grade(r"\boxed{9^{9^9}}", "5", policy=SHORT).verdict == "timeout"
    assert grade(r"\boxed{x+x+x}", "3x", policy=POLICY).verdict == "correct"


def test_time_runs_out_without_processor_times_too(monkeypatch):
    monkeypatch.setattr(symbolic, "_processor_seconds", lambda pid: None)
    assert grade(r"\boxed{8^{9^9}}", "5", policy=SHORT).verdict == "timeout"


def test_verdicts_are_remembered_over_calls(monkeypatch):
    grade(r"\boxed{y+y}", "2y", policy=POLICY)

    def refuse(*_):
        raise AssertionError("asked a worker again")

    monkeypatch.setattr(symbolic._Pool, "compare", refuse)
    assert grade(r"again \boxed{y+y}", "2y", policy=POLICY).verdict == "correct"


def test_a_worker_that_dies_costs_one_pair_only():
    grade(r"\boxed{z+z}", "2z", policy=POLICY)
    for worker in symbolic._pools[POLICY.memory_limit_mib].workers:
        worker.process.kill()
        worker.process.wait()
    graded = grade_many([rf"\boxed{{{n}z+z}}" for n in range(2, 8)], [f"{n + 1}z" for n in range(2, 8)], policy=POLICY)
    verdicts = [item.verdict for item in graded]
    assert set(verdicts) <= {"correct", "error"}
    assert verdicts.count("correct") >= 4


def test_grading_works_off_the_main_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(grade(r"\boxed{w+w}", "2w", policy=POLICY).verdict))
    thread.start()
    thread.join()
    assert found == ["correct"]


SCRIPT = """
import os, sys
from quagpredict.answers import GradingPolicy, grade, symbolic
policy = GradingPolicy(symbolic=True, time_limit_s=20.0)
print(grade(r"\\boxed{x+x}", "2x", policy=policy).verdict, flush=True)
print(symbolic._pools[512].workers[0].process.pid, flush=True)
"""
FORK = """
child = os.fork()
if child == 0:
    print(grade(r"\\boxed{y+y}", "2y", policy=policy).verdict, flush=True)
    symbolic.close_workers()
    os._exit(0)
os.waitpid(child, 0)
print(grade(r"\\boxed{z+z}", "2z", policy=policy).verdict, flush=True)
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
        grade(r"\boxed{v+v}", "2v", policy=POLICY)


def test_a_worker_that_cannot_start_is_reported(monkeypatch, tmp_path):
    broken = tmp_path / "worker.py"
    broken.write_text("raise SystemExit(1)\n")
    monkeypatch.setattr(symbolic, "_PROGRAM", broken)
    policy = GradingPolicy(symbolic=True, memory_limit_mib=600)
    with pytest.raises(QuagpredictError, match=r"ended before it was ready \(exit status"):
        grade(r"\boxed{u+u}", "2u", policy=policy)
