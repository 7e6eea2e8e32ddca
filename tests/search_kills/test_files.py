"""Twenty kills of workers on the storages that need no server."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.mark.parametrize("scheme", ["sqlite", "journal"])
def test_killed_workers_lose_and_double_nothing(
    scheme: str, tmp_path: Path, survives_kills: Callable[[str], None]
) -> None:
    survives_kills(f"{scheme}:///{tmp_path / 'study'}")
