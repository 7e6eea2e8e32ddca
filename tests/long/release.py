"""What a release must pass: `python tests/long/release.py` builds sdist and wheel, checks them, and installs the wheel.

It is installed into empty environments, with the oldest releases that pyproject.toml allows (of those that come as
wheels for that Python) and with the newest, for each Python of 3.11 to 3.13 that is here; in each, shipped candidates
are ranked and a surrogate is fitted and used, from an empty folder. Needs `uv`, `twine` and `check-wheel-contents` on
the PATH.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PYTHONS = ("3.11", "3.12", "3.13")
PACKAGES = ("numpy", "polars", "scikit-learn", "pandas", "scipy", "pyarrow", "lightgbm", "optuna")
SHIPPED = "from quagpredict.shipped import shipped_root; print(shipped_root())"
VERSIONS = (
    "import sys; from importlib.metadata import version; print(*(f'{p} {version(p)}' for p in sys.argv[1:]), sep=', ')"
)


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    environment = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    ran = subprocess.run(list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True)
    if ran.returncode:
        words = " ".join(map(str, command))
        sys.exit(f"{words[:300]}: exit code {ran.returncode}\n{ran.stdout}\n{ran.stderr}")
    return ran.stdout


def python_of(version: str) -> str | None:
    """The interpreter of a version, on the PATH or among pyenv's, if it runs."""
    pyenv = sorted(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(f"versions/{version}.*/bin/python"))
    for found in (shutil.which(f"python{version}"), *map(str, pyenv)):
        if found and subprocess.run([found, "-c", "import venv"], capture_output=True, check=False).returncode == 0:
            return found
    return None


def build(folder: Path) -> Path:
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder)
    files = sorted(folder.iterdir())
    run("twine", "check", "--strict", *files)
    (wheel,) = folder.glob("*.whl")
    # W002: a recipe may equal another's; W004: programs that are shipped are run by path, not imported.
    run("check-wheel-contents", "--ignore", "W002,W004", wheel)
    print("built and checked:", ", ".join(f"{file.name} ({file.stat().st_size / 2**20:.1f} MiB)" for file in files))
    return wheel


def try_wheel(wheel: Path, python: str, resolution: str, folder: Path) -> str:
    run("uv", "venv", "--quiet", "--python", python, folder / "env")
    own = folder / "env/bin/python"
    options = ("--resolution", resolution, "--only-binary", ":all:")
    # Named themselves, since `lowest-direct` takes the lowest of what is asked for directly.
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    run("uv", "pip", "install", "--quiet", "--python", own, *options, wheel, *asked)
    empty = folder / "empty"
    empty.mkdir()
    shipped = Path(run(own, "-c", SHIPPED, cwd=empty).strip())
    tool = own.with_name("quagpredict")
    candidates = sorted((shipped / "datasets/lab/candidates").glob("*.parquet"))
    assert "1" in run(tool, "rank", "--candidates", *candidates, cwd=empty)
    corpus = shipped / "datasets/lab-pilot/corpus.parquet"
    for kind in ("ridge", "lightgbm"):
        run(tool, "fit", corpus, "--surrogate", kind, "--out", f"fitted-{kind}", "--repeats", "0", cwd=empty)
    pilot = sorted((shipped / "datasets/lab-pilot/candidates").glob("*.parquet"))
    run(tool, "rank", "--candidates", *pilot, "--surrogate", "fitted-ridge", cwd=empty)
    return run(own, "-c", VERSIONS, *PACKAGES, cwd=empty).strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pythons", nargs="+", default=PYTHONS, metavar="VERSION")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="quagpredict-release-") as name:
        folder = Path(name)
        wheel = build(folder / "dist")
        for version in wanted.pythons:
            python = python_of(version)
            if python is None:
                print(f"!!! Python {version} WAS NOT TRIED: it is not on this machine", file=sys.stderr)
                continue
            for which, resolution in (("oldest", "lowest-direct"), ("newest", "highest")):
                place = folder / f"{version}-{which}"
                place.mkdir()
                print(f"Python {version}, {which}: {try_wheel(wheel, python, resolution, place)}", flush=True)
                shutil.rmtree(place)


if __name__ == "__main__":
    main()
