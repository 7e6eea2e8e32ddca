"""What long work says, on a terminal and elsewhere."""

import io

import pytest

from quagpredict.report import progress as module
from quagpredict.report.progress import progress_of


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module._Lines.__init__, "__defaults__", (clock,))
    return clock


def test_a_line_comes_after_some_seconds_and_then_now_and_then(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress_of("samples") as progress:
        clock.now += 30  # loading a model
        for second in range(60):
            progress(1000 + 10 * second, 2000)
            clock.now += 1
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "samples: 1,040 of 2,000, 10 a second, 2 min left"
    assert len(said) == 3


def test_short_work_and_quiet_work_say_nothing(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress_of("samples") as progress:
        for done in range(4):
            progress(done, 3)
            clock.now += 1
    with progress_of("samples", shown=False) as progress:
        clock.now += 100
        progress(1, 2)
    assert capsys.readouterr().err == ""


def test_a_terminal_shows_what_comes_before_the_first_count(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress_of("samples", before="loading the model") as progress:
        pass
    assert "loading the model" in terminal.getvalue()
    assert "samples" not in terminal.getvalue()
    with progress_of("samples", before="loading the model") as progress:
        progress(1, 2)
    assert "samples" in terminal.getvalue()
