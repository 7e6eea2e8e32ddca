"""The contracts hold for parts that ship, and see a part that breaks them."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from quagpredict.collection.launch import Ended, Setting
from quagpredict.collection.local import spawned
from quagpredict.engines.contract import Request, Sampling
from quagpredict.engines.table import load_engine
from quagpredict.importers.table import READERS
from quagpredict.shipped import shipped_path
from quagpredict.surrogates.kinds import KINDS
from quagpredict.testing.engines import check_engine
from quagpredict.testing.importers import check_importer
from quagpredict.testing.launchers import check_launcher
from quagpredict.testing.surrogates import check_surrogate


@pytest.mark.parametrize("kind", ["mean", "average", "ridge", "mixed", "effective_k", "sharpening", "gaussian_process"])
def test_kinds_that_ship_keep_theirs(kind: str, tmp_path: Path) -> None:
    check_surrogate(kind, tmp_path)


HASTY = """
from quagpredict.surrogates.kind import Kind
from quagpredict.surrogates.mean import fit_mean


def fit_first(X, y, **names):
    return fit_mean(X[:5], y[:5], **names)


KIND = Kind(fit_matrix=fit_first, fewest=3)
"""


def test_a_kind_whose_fit_depends_on_the_order_of_rows_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hasty_kind.py").write_text(HASTY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(KINDS, "hasty", "hasty_kind")
    with pytest.raises(AssertionError, match="a fit does not depend on the order of its rows"):
        check_surrogate("hasty", tmp_path / "stored")


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    with closing(load_engine("transformers", shipped_path("datasets/lab-pilot/bases/weak"))) as loaded:
        yield loaded


PROMPTS = ["1+2=", "7-3=", "4+4+1="]


def test_the_engine_that_ships_keeps_its_own(engine: Any) -> None:
    check_engine(engine, PROMPTS)


class Forgetful:
    """An engine that draws every call anew: it does not look at which samples are asked for."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Any]:
        asked = [request._replace(first=0) for request in requests]
        yield from self.engine.generate(asked, sampling)


def test_an_engine_that_ignores_the_index_of_a_sample_is_seen(engine: Any) -> None:
    with pytest.raises(AssertionError, match="more samples only add to the first"):
        check_engine(Forgetful(engine), PROMPTS)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "math" / "test_qwen25-math_-1_seed0_t0.6_s0_e-1.jsonl"
    path.parent.mkdir()
    rows = [{"idx": i, "gt": "1", "code": [f"a{i}", f"b{i}"], "score": [True, i % 2 == 0]} for i in range(6)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


COUNTS = {str(i): (2, 1 + int(i % 2 == 0)) for i in range(6)}


def test_a_reader_that_ships_keeps_its_own(file: Path) -> None:
    check_importer("qwen-math", file, COUNTS)


def test_wrong_counts_are_seen(file: Path) -> None:
    with pytest.raises(AssertionError, match="the counts are those of the file"):
        check_importer("qwen-math", file, COUNTS | {"0": (2, 1)})


LENIENT = """
import json
from quagpredict.importers.qwen_math import recognises
from quagpredict.importers.reading import ProblemRow, Reading, part_of


def read(paths):
    lines = [line for path in paths for line in path.read_text().splitlines()]
    rows = []
    for number, line in enumerate(lines):
        hit = line.count("true") if line.endswith("}") else 0
        rows.append(ProblemRow("math", str(number), 2, hit))
    return Reading(part_of(rows), [{} for _ in paths], [], [], stated=False)
"""


def test_a_reader_that_takes_what_was_cut_off_for_wrong_answers_is_seen(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lenient_reader.py").write_text(LENIENT)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(READERS, "qwen-math", "lenient_reader")
    with pytest.raises(AssertionError, match="only whole records are read"):
        check_importer("qwen-math", file, COUNTS)


def test_the_launcher_of_this_machine_keeps_its_own(tmp_path: Path) -> None:
    check_launcher(spawned, tmp_path)


class Deaf:
    """A launcher that kills nothing."""

    def __init__(self, setting: Setting) -> None:
        self.launcher = spawned(setting)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.launcher, name)

    def kill(self, name: str) -> None:
        pass

    def ended(self, timeout: float) -> list[Ended]:
        return self.launcher.ended(timeout)


def test_a_launcher_that_does_not_kill_is_seen(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="0 of 1 did"):
        check_launcher(Deaf, tmp_path, patience=8)
