import os
import runpy
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from quagpredict.collection import carrying_out
from quagpredict.collection.launch import Ended, Resources
from quagpredict.collection.ledger import read_ledger

STAND_IN = str(Path(__file__).with_name("stand_in.py"))


@pytest.fixture(scope="module", autouse=True)
def ray_of_this_machine() -> Iterator[None]:
    """Start Ray once for all tests that run on it; they join what this process has joined."""
    if "ray" not in os.environ.get("QUAGPREDICT_LAUNCHERS", "").split():
        yield
        return
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "300")  # read when it is imported
    import ray

    size = {"num_cpus": 4, "object_store_memory": 80 * 2**20}
    ray.init(address="local", log_to_driver=False, logging_level="ERROR", include_dashboard=False, **size)
    yield
    ray.shutdown()


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Run the stand-ins in this process, which takes milliseconds where starting processes takes seconds.

    What is returned may be filled with names of stages: each time one of them starts, it is lost with its machine once.
    """
    to_lose: list[str] = []
    stand_in = runpy.run_path(STAND_IN)

    class InlineLauncher:
        def __init__(self, *_: object) -> None:
            self._ended: list[Ended] = []

        def wait_until_ready(self) -> None:
            pass

        def still_running(self) -> tuple[str, ...]:
            return ()

        def start(self, name: str, command: list[str], log: Path, resources: Resources) -> None:
            if name in to_lose:
                to_lose.remove(name)
                self._ended.append(Ended(name, None))
                return
            with log.open("a") as said, redirect_stdout(said), redirect_stderr(said):
                self._ended.append(Ended(name, stand_in["main"](command[2:])))

        def waiting(self) -> list[str]:
            return []

        def ended(self, timeout: float) -> list[Ended]:
            ended, self._ended = self._ended, []
            return ended

        def close(self) -> None:
            pass

    monkeypatch.setattr(carrying_out, "launcher_of", InlineLauncher)
    return to_lose


def decisions_in(work: Path, kind: str = "race") -> list[dict[str, Any]]:
    taken = [attempt for attempt in read_ledger(work / "ledger.jsonl") if attempt.stage.startswith(f"{kind}/")]
    return [dict(attempt.record.results) for attempt in taken if attempt.record is not None]
