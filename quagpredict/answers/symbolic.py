"""Math-Verify in warm workers that are killed when they take too long.

A worker is a process of its own, started by path: it does not fork this process (which may hold a GPU), does not import
its main program again, and knows nothing of its threads. One pair is in a worker at a time; when its seconds are over
the worker is killed and another one started. Nothing here uses signals of this process, so that it works in any thread.
"""

import atexit
import contextlib
import json
import os
import selectors
import subprocess
import sys
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from quagpredict.answers.normalise import readable_form
from quagpredict.answers.policy import GradingPolicy, Verdict
from quagpredict.errors import QuagpredictError
from quagpredict.optional import require

Pair = tuple[str, str]
_PROGRAM = Path(__file__).with_name("worker.py")
_START_LIMIT_S = 300.0  # a second where nothing else runs
_PAIRS_A_WORKER = 16  # another worker is worth its second of start-up only for more pairs than this
_REMEMBERED = 50_000
_STARVED = 10  # times the limit that a comparison may wait for its processor time on a busy machine
_REPLIES: dict[str, Verdict] = {"correct": "correct", "wrong": "wrong", "error": "error"}


class _Worker:
    """One process; `pair` is what it is at, `deadline` when it will be killed for it."""

    def __init__(self, memory_limit_mib: int) -> None:
        path = os.pathsep.join(entry for entry in sys.path if entry)
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-W", "ignore", str(_PROGRAM), str(memory_limit_mib)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path},
        )
        self.ready = False
        self.pair: Pair | None = None
        self.deadline = time.monotonic() + _START_LIMIT_S
        self.last_deadline = self.deadline
        self.entitled_s: float | None = None

    def send(self, pair: Pair, time_limit_s: float, tolerance: float) -> None:
        answer, gold = pair
        line = json.dumps([readable_form(gold), readable_form(answer), time_limit_s, tolerance]) + "\n"
        self.pair = pair
        self.deadline = time.monotonic() + time_limit_s
        self.last_deadline = self.deadline + (_STARVED - 1) * time_limit_s
        used = _processor_seconds(self.process.pid)
        self.entitled_s = None if used is None else used + time_limit_s
        stdin = self.process.stdin
        if stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # it died: reading from it will tell
                stdin.write(line.encode())
                stdin.flush()

    def overdue(self, now: float) -> bool:
        """Say whether the time is over. A worker that a busy machine kept from running is given what it missed."""
        if self.deadline > now:
            return False
        used = _processor_seconds(self.process.pid)
        if self.pair is None or used is None or self.entitled_s is None:
            return True
        missing = self.entitled_s - used
        self.deadline = min(now + missing, self.last_deadline)
        return missing <= 0.02 or self.deadline <= now

    def reply(self) -> str:
        """Return the line that is there, empty if the worker has ended. Lines are short: they arrive whole."""
        stdout = self.process.stdout
        return "" if stdout is None else os.read(stdout.fileno(), 64).decode().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.close()

    def close(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


class _Pool:
    """The workers of one memory limit."""

    def __init__(self, memory_limit_mib: int) -> None:
        self.memory_limit_mib = memory_limit_mib
        self.workers: list[_Worker] = []

    def compare(self, pairs: Sequence[Pair], time_limit_s: float, tolerance: float) -> dict[Pair, Verdict]:
        verdicts: dict[Pair, Verdict] = {}
        waiting = deque(pairs)
        most = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        try:
            while len(verdicts) < len(pairs):
                wanted = min(most, 1 + len(waiting) // _PAIRS_A_WORKER)
                while len(self.workers) < wanted and waiting:
                    self.workers.append(_Worker(self.memory_limit_mib))
                for worker in self.workers:
                    if waiting and worker.ready and worker.pair is None:
                        worker.send(waiting.popleft(), time_limit_s, tolerance)
                self._wait(verdicts)
        except BaseException:  # an interrupt must not leave replies of old pairs in the pipes
            self.close()
            raise
        return verdicts

    def _wait(self, verdicts: dict[Pair, Verdict]) -> None:
        """Take in what the busy and starting workers say; kill those whose time is over."""
        busy = [worker for worker in self.workers if worker.pair is not None or not worker.ready]
        with selectors.DefaultSelector() as selector:
            for worker in busy:
                if worker.process.stdout is not None:
                    selector.register(worker.process.stdout, selectors.EVENT_READ, worker)
            patience = max(0.0, min(worker.deadline for worker in busy) - time.monotonic())
            for key, _ in selector.select(patience):
                self._hear(key.data, verdicts)
        now = time.monotonic()
        for worker in [w for w in self.workers if (w.pair is not None or not w.ready) and w.overdue(now)]:
            self._lose(worker, verdicts, "timeout")

    def _hear(self, worker: _Worker, verdicts: dict[Pair, Verdict]) -> None:
        reply = worker.reply()
        if reply == "ready" and not worker.ready:
            worker.ready = True
        elif worker.pair is not None and reply in _REPLIES:
            verdicts[worker.pair] = _REPLIES[reply]
            worker.pair = None
        else:
            self._lose(worker, verdicts, "error")

    def _lose(self, worker: _Worker, verdicts: dict[Pair, Verdict], verdict: Verdict) -> None:
        """Remove a worker that ended or has to end; what it was at gets the verdict."""
        self.workers.remove(worker)
        worker.kill()
        if not worker.ready:
            raise QuagpredictError(
                f"a symbolic grading worker ended before it was ready (exit status {worker.process.returncode}): "
                f"see what '{sys.executable} {_PROGRAM} {self.memory_limit_mib}' prints, or raise memory_limit_mib"
            )
        if worker.pair is not None:
            verdicts[worker.pair] = verdict

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()
        self.workers.clear()


def _processor_seconds(pid: int) -> float | None:
    """Return the processor time that a process has used, None where that cannot be read (wall time then counts)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None


_pools: dict[int, _Pool] = {}
_remembered: OrderedDict[tuple[Pair, float, int, float], Verdict] = OrderedDict()
_lock = threading.Lock()


def compare_pairs(pairs: Sequence[Pair], policy: GradingPolicy) -> dict[Pair, Verdict]:
    """Return the verdicts of distinct (answer, gold) pairs by Math-Verify.

    Verdicts are remembered over calls, timeouts too; errors are not, since something else may have ended the worker.

    Parameters
    ----------
    pairs : sequence of (answer, gold)
        Within the caps of `quagpredict.answers.caps`.
    policy : GradingPolicy
        Its time_limit_s, memory_limit_mib and relative_tolerance.

    Returns
    -------
    dict of pair to "correct", "wrong", "timeout" or "error"
        timeout: not finished within the limit; error: out of memory or stack.

    Raises
    ------
    MissingExtraError
        If Math-Verify is not installed.
    QuagpredictError
        If a worker cannot start.
    """
    if find_spec("math_verify") is None:
        require("math_verify")  # says what to install; importing it here would cost a second and serve nobody
    limits = (policy.time_limit_s, policy.memory_limit_mib, policy.relative_tolerance)
    with _lock:
        verdicts = {pair: _remembered[pair, *limits] for pair in pairs if (pair, *limits) in _remembered}
        # Pairs of one gold stand together, so that a worker parses it once.
        unknown = sorted((pair for pair in pairs if pair not in verdicts), key=lambda pair: pair[1])
        if unknown:
            pool = _pools.setdefault(policy.memory_limit_mib, _Pool(policy.memory_limit_mib))
            compared = pool.compare(unknown, policy.time_limit_s, policy.relative_tolerance)
            verdicts |= compared
            _remembered.update({(pair, *limits): v for pair, v in compared.items() if v != "error"})
            while len(_remembered) > _REMEMBERED:
                _remembered.popitem(last=False)
    return verdicts


def close_workers() -> None:
    """End all workers; the next comparison starts new ones. Called at exit."""
    with _lock:
        for pool in _pools.values():
            pool.close()
        _pools.clear()


def _forget_workers() -> None:
    """In a forked child: the workers are the parent's. Let go of their pipes without ending them."""
    global _lock
    _lock = threading.Lock()
    for pool in _pools.values():
        for worker in pool.workers:
            worker.close()
            worker.process.returncode = 0
    _pools.clear()


atexit.register(close_workers)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_workers)
