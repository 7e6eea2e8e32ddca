"""How far long work has come, on stderr: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Seconds after which the first line comes where there is no terminal, and between lines.
_FIRST, _BETWEEN = 4.0, 20.0


@contextmanager
def progress_of(what: str, *, before: str | None = None, shown: bool = True) -> Iterator[Callable[[int, int], None]]:
    """Yield a function of (done, total) that says count, rate and time left.

    On a terminal it moves a bar. Elsewhere, as in a log, it writes a line after some seconds and then now and then, so
    that short work says nothing. What was there at the first call does not count for the rate.

    Parameters
    ----------
    what : str
        What is counted, e.g. ``"samples"``.
    before : str, optional
        What a terminal shows until the first call, such as ``"loading"``; by default `what`.
    shown : bool
        Whether anything is said.

    Examples
    --------
    >>> with progress_of("samples") as progress:
    ...     progress(1, 2)
    """
    if not shown:
        yield _silent
    elif sys.stderr.isatty():
        yield from _bar(what, before or what)
    else:
        yield _Lines(what)


def _bar(what: str, before: str) -> Iterator[Callable[[int, int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(compact=True))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(before, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total, description=what)


class _Lines:
    """Writes a line now and then."""

    def __init__(self, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.what = what
        self.clock = clock
        self.started = self.said = clock()
        self.had: int | None = None

    def __call__(self, done: int, total: int) -> None:
        if self.had is None:  # loading is no part of the rate
            self.had, self.started = done, self.clock()
            self.said = self.started
        now = self.clock()
        quiet = _FIRST if self.said <= self.started else _BETWEEN
        if now - self.said < quiet or done >= total:
            return
        self.said = now
        rate = (done - self.had) / max(now - self.started, 1e-9)
        time_left = f", {spoken((total - done) / rate)} left" if rate > 0 else ""
        print(f"{self.what}: {done:,} of {total:,}, {rate:,.4g} a second{time_left}", file=sys.stderr, flush=True)


def spoken(seconds: float) -> str:
    """Return a time as one says it.

    Examples
    --------
    >>> spoken(42.3), spoken(600), spoken(9000)
    ('42 s', '10 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _silent(_done: int, _total: int) -> None: ...
