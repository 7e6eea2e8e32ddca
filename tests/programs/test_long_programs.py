"""The long programs that only `.ci/long` runs whole still find what they call."""

import subprocess
import sys
from pathlib import Path

LONG = Path(__file__).parents[1] / "long"


def test_readers_are_fuzzed_one_damaged_file_each() -> None:
    # As many files as there are readers, or a few more: a reader that is not found where it was dies without an answer.
    command = [sys.executable, str(LONG / "fuzz_readers.py"), "--files", "60"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]
