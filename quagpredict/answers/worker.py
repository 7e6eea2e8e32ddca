"""The program of one symbolic worker: pairs in on standard input, verdicts out. Run by path, never imported.

It imports nothing of quagpredict, so that it starts in the time Math-Verify takes. Its limits are the kernel's: address
space, and processor time per pair, so that a worker that hangs ends even if nobody is left to kill it.
"""

import json
import logging
import os
import sys
from functools import partial
from typing import Any

RETIRE_AFTER = 5000  # pairs; sympy's caches grow
_DIGITS, _ROUNDING = 40, 1e-25


def main() -> None:
    """Answer one line of JSON [gold, answer, seconds, tolerance] after the other with correct, wrong or error."""
    memory_limit_mib = int(sys.argv[1])
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whatever a library prints must not be taken for a verdict
    logging.disable(logging.CRITICAL)
    sys.setrecursionlimit(3000)
    from math_verify import LatexExtractionConfig, parse, verify

    # LaTeX only: the other extractor hands digits and operators to Python's eval, and picks a number out of prose.
    settings = {"extraction_config": [LatexExtractionConfig()], "parsing_timeout": None, "raise_on_error": True}
    parse = partial(parse, **settings)
    _parsed(parse, "1")
    _limit_memory(memory_limit_mib)
    replies.write("ready\n")
    golds: dict[str, Any] = {}
    for count, line in enumerate(sys.stdin):
        gold, answer, seconds, tolerance = json.loads(line)
        _limit_processor_time(seconds)
        try:
            if gold not in golds:
                golds.clear() if len(golds) > 256 else None
                golds[gold] = _parsed(parse, gold)
            allowed = max(tolerance if "." in gold + answer else 0.0, _ROUNDING)
            verdict = _compared(verify, golds[gold], _parsed(parse, answer), allowed)
        except (MemoryError, RecursionError):
            verdict = "error"
        replies.write(verdict + "\n")
        if verdict == "error" or count >= RETIRE_AFTER:
            return


def _parsed(parse: Any, text: str) -> Any:
    """Parse as Math-Verify does a boxed answer; its own time limit uses signal.alarm and stays off."""
    try:
        return parse(f"\\boxed{{{text}}}")
    except (MemoryError, RecursionError):
        raise
    except Exception:
        return []


def _compared(verify: Any, golds: Any, answers: Any, allowed: float) -> str:
    for gold in golds:
        for answer in answers:
            try:
                if verify(gold, answer, timeout_seconds=None, raise_on_error=True) and _near(gold, answer, allowed):
                    return "correct"
            except (MemoryError, RecursionError):
                raise
            except Exception:  # what cannot be compared is not equal
                continue
    return "wrong"


def _near(gold: Any, answer: Any, allowed: float) -> bool:
    """Hold two numbers to a relative difference: Math-Verify rounds to six places, so all tiny numbers are equal."""
    if not (getattr(gold, "is_number", False) and getattr(answer, "is_number", False)):
        return True
    first, second = answer.evalf(_DIGITS), gold.evalf(_DIGITS)
    return bool(abs(first - second) <= allowed * abs(second))


def _limit_memory(mebibytes: int) -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        wanted = mebibytes << 20
        resource.setrlimit(resource.RLIMIT_AS, (wanted if hard < 0 else min(wanted, hard), hard))
    except (ImportError, ValueError, OSError):  # no such limit on this system: the time limit remains
        pass


def _limit_processor_time(seconds: float) -> None:
    try:
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        wanted = int(used.ru_utime + used.ru_stime + seconds) + 3
        resource.setrlimit(resource.RLIMIT_CPU, (wanted if hard < 0 else min(wanted, hard), hard))
    except (ImportError, ValueError, OSError):
        pass


if __name__ == "__main__":
    main()
