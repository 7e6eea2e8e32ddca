"""The licences of what is installed from constraints/cpu.txt: `python tests/long/licences.py > docs/licences.md`."""

import re
import sys
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAD = """# Licences of dependencies

quagpredict is under the Apache License 2.0. What it is tested with (`constraints/cpu.txt`: the core, the extras `train`
and `plot`, and what development needs), as each package states its licence itself; none is shipped with quagpredict.
Made by `python tests/long/licences.py > docs/licences.md`.

| package | version | licence |
| --- | --- | --- |"""


def licence_of(package: str) -> tuple[str, str] | None:
    """Version and licence as a package states them; None if it is not installed."""
    try:
        said = metadata(package)
    except PackageNotFoundError:
        return None
    classifiers = [
        line.rpartition(" :: ")[2] for line in said.get_all("Classifier") or [] if line.startswith("License")
    ]
    words = said.get("License-Expression") or ", ".join(classifiers) or (said.get("License") or "").strip()
    first = words.splitlines()[0] if words else "not stated"
    return said["Version"], first.replace("|", "or")[:80]


def main() -> int:
    lines = (ROOT / "constraints/cpu.txt").read_text(encoding="utf-8").splitlines()
    names = [line.partition("==")[0] for line in lines if re.match(r"[a-zA-Z]", line)]
    found = {name: licence_of(name) for name in names}
    print(HEAD)
    for name, licence in sorted(found.items()):
        if licence is not None:
            print(f"| {name} | {licence[0]} | {licence[1]} |")
    missing = [name for name, licence in found.items() if licence is None]
    if missing:
        print(f"not installed here, and not listed: {', '.join(missing)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
