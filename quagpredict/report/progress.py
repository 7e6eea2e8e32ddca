"""A progress bar on stderr, where stderr is a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_of(what: str, *, shown: bool = True) -> Iterator[Callable[[int, int], None]]:
    """Yield a function of (done, total) that moves a bar with the remaining time.

    It is silent if it is not to be shown, or stderr is no terminal.

    Examples
    --------
    >>> with progress_of("samples") as progress:
    ...     progress(1, 2)
    """
    if not shown or not sys.stderr.isatty():
        yield _silent
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _silent(_done: int, _total: int) -> None: ...
