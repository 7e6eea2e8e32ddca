"""Which GPUs of one machine a program gets: pure functions of what there is and of what the others hold."""

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Any

from quagpredict.errors import RecipeError

_ROUNDING = 1e-9  # thirds of a GPU add up to a whole one

Share = Mapping[str, float]


def allocated(devices: Sequence[str], held: Iterable[Share], gpus: float) -> Share | None:
    """Return the GPUs that a program gets, or None as long as what it asks for is not free.

    Parameters
    ----------
    devices : sequence of str
        The machine's GPUs, each as ``CUDA_VISIBLE_DEVICES`` names it.
    held : iterable of mapping
        What each running program holds: GPU -> part of it, 1 for all.
    gpus : float
        How many: a whole number, each of them for this program alone, or a part of one, which it shares with other
        programs that ask for a part. A GPU that is shared already comes before one that is free, and the fuller one
        first, so that whole GPUs stay free.

    Returns
    -------
    mapping or None
        GPU -> part; empty for a program that asks for none. None also if the machine never has so many.

    Examples
    --------
    >>> allocated(["0", "1"], [], 0.5)
    {'0': 0.5}
    >>> allocated(["0", "1"], [{"0": 0.5}], 0.5), allocated(["0", "1"], [{"0": 0.5}], 1)
    ({'0': 0.5}, {'1': 1.0})
    >>> allocated(["0", "1"], [{"0": 0.5}], 2) is None
    True
    """
    taken = dict.fromkeys(devices, 0.0)
    for share in held:
        for device, part in share.items():
            taken[device] += part
    if gpus < 1:
        room = [device for device in devices if taken[device] + gpus <= 1 + _ROUNDING]
        fullest = max(room, key=lambda device: taken[device], default=None)
        return {} if gpus <= 0 else None if fullest is None else {fullest: float(gpus)}
    free = [device for device in devices if taken[device] == 0]
    return dict.fromkeys(free[: int(gpus)], 1.0) if len(free) >= gpus else None


def startable(devices: Sequence[str], held: Iterable[Share], waiting: Mapping[str, float]) -> dict[str, Share]:
    """Return which of the waiting programs can start now, with their GPUs.

    They start in their order. One that asks for more than is free holds back those behind it, or many small ones would
    keep a large one waiting for ever; those that ask for none never wait.

    Parameters
    ----------
    devices, held
        As for `allocated`.
    waiting : mapping
        Name -> GPUs that it asks for, in order.

    Examples
    --------
    >>> startable(["0", "1"], [{"0": 1.0}], {"large": 2, "small": 0.5, "none": 0})
    {'none': {}}
    """
    shares = list(held)
    started: dict[str, Share] = {}
    most = inf
    for name, gpus in waiting.items():
        share = allocated(devices, shares, gpus) if gpus <= most else None
        if share is None:
            most = 0
        else:
            started[name] = share
            shares.append(share)
    return started


def devices_of(options: Mapping[str, Any], environment: Mapping[str, str], gpus: Path | None = None) -> list[str]:
    """Return this machine's GPUs as ``CUDA_VISIBLE_DEVICES`` names them; empty where there are none.

    Parameters
    ----------
    options : mapping
        ``gpus`` is their number, or a list of names. Without it they are those that `environment` names, else all that
        the NVIDIA driver shows.
    environment : mapping
        Of the programs.
    gpus : path, optional
        Where the driver shows them.

    Raises
    ------
    RecipeError
        If ``gpus`` is neither, or there is another option.

    Examples
    --------
    >>> devices_of({"gpus": 2}, {}), devices_of({"gpus": 2}, {"CUDA_VISIBLE_DEVICES": "3,5,6"}), devices_of({}, {})
    (['0', '1'], ['3', '5'], ...)
    """
    if other := set(options) - {"gpus"}:
        raise RecipeError(f"launch.options: unknown key '{min(other)}' of a launcher of this machine; known is gpus")
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    named = None if visible is None else [name.strip() for name in visible.split(",") if name.strip()]
    if named is not None and "-1" in named:
        named = named[: named.index("-1")]
    asked = options.get("gpus")
    if asked is None:
        seen = gpus or Path("/proc/driver/nvidia/gpus")
        return named if named is not None else [str(index) for index in range(len(list(seen.glob("*"))))]
    if isinstance(asked, int) and not isinstance(asked, bool) and asked >= 0:
        return named[:asked] if named is not None else [str(index) for index in range(asked)]
    names = [str(name) for name in asked] if isinstance(asked, list) else []
    if not names or len(set(names)) < len(names):
        raise RecipeError(f"launch.options: gpus: expected their number, or a list of different names, got {asked!r}")
    return names


def without_gpus_of_others(share: Share) -> dict[str, str]:
    """Return the environment that shows a program the GPUs of its share and no other.

    Examples
    --------
    >>> without_gpus_of_others({"0": 1.0, "3": 1.0}), without_gpus_of_others({})
    ({'CUDA_VISIBLE_DEVICES': '0,3'}, {'CUDA_VISIBLE_DEVICES': ''})
    """
    return {"CUDA_VISIBLE_DEVICES": ",".join(share)}
