from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quagpredict.collection.gpus import Share, allocated, devices_of, startable
from quagpredict.errors import RecipeError

asked = st.one_of(
    st.integers(0, 4).map(float), st.sampled_from([1 / 2, 1 / 3, 1 / 4, 1 / 7, 0.1, 0.3]), st.floats(0.01, 0.99)
)
machines = st.integers(1, 4).map(lambda count: [f"gpu{index}" for index in range(count)])


@given(machines, st.lists(asked, max_size=12))
def test_no_gpu_is_given_twice_and_nobody_gets_more_or_less_than_it_asked_for(
    devices: list[str], programs: list[float]
) -> None:
    held: list[Share] = []
    for gpus in programs:
        share = allocated(devices, held, gpus)
        if share is None:
            continue
        held.append(share)
        assert set(share) <= set(devices)
        assert len(share) == (gpus if gpus >= 1 else 1 if gpus > 0 else 0)
        assert all(part == min(gpus, 1) for part in share.values())
    for device in devices:
        parts = [share[device] for share in held if device in share]
        assert sum(parts) <= 1 + 1e-6
        assert 1.0 not in parts or len(parts) == 1


@given(machines, st.lists(asked, max_size=12))
def test_what_is_free_is_given(devices: list[str], programs: list[float]) -> None:
    held: list[Share] = []
    for gpus in programs:
        share = allocated(devices, held, gpus)
        if share is not None:
            held.append(share)
            continue
        taken = {device: sum(share.get(device, 0.0) for share in held) for device in devices}
        if gpus >= 1:
            assert sum(part == 0 for part in taken.values()) < gpus
        else:
            assert all(part + gpus > 1 for part in taken.values())


@given(machines, st.sampled_from([2, 3, 4, 5, 7, 10]))
def test_parts_fill_one_gpu_before_the_next(devices: list[str], parts: int) -> None:
    held: list[Share] = []
    for _ in range(parts * len(devices)):
        share = allocated(devices, held, float(Fraction(1, parts)))
        assert share is not None
        held.append(share)
    assert [name for share in held for name in share] == [name for name in devices for _ in range(parts)]
    assert allocated(devices, held, 0.05) is None


def run_to_the_end(devices: list[str], waiting: dict[str, float], seconds: Mapping[str, int]) -> list[str]:
    """Return the names in the order in which they start, where each holds its GPUs for so many seconds."""
    order: list[str] = []
    running: dict[str, tuple[int, Share]] = {}
    now = 0
    while waiting or running:
        for name, share in startable(devices, [share for _, share in running.values()], waiting).items():
            order.append(name)
            running[name] = (now + seconds[name], share)
            del waiting[name]
        assert running, f"nothing runs and {waiting} never starts"
        now = min(end for end, _ in running.values())
        running = {name: item for name, item in running.items() if item[0] > now}
    return order


@given(machines, st.data())
def test_everything_that_fits_the_machine_starts_and_nobody_is_overtaken_for_ever(
    devices: list[str], data: st.DataObject
) -> None:
    sizes = data.draw(st.lists(asked.filter(lambda gpus: gpus <= len(devices)), max_size=12))
    waiting = {str(number): gpus for number, gpus in enumerate(sizes)}
    seconds = {name: data.draw(st.integers(1, 5)) for name in waiting}
    order = run_to_the_end(devices, dict(waiting), seconds)
    with_gpus = [name for name in order if waiting[name] > 0]
    assert with_gpus == sorted(with_gpus, key=int)  # in the order in which they were asked for
    assert set(order) == set(waiting)


def test_which_gpus_a_machine_has(tmp_path: Path) -> None:
    for bus in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / bus).mkdir()
    assert devices_of({}, {}, tmp_path) == ["0", "1"]
    assert devices_of({}, {}, tmp_path / "none") == []
    assert devices_of({}, {"CUDA_VISIBLE_DEVICES": ""}, tmp_path) == []
    assert devices_of({}, {"CUDA_VISIBLE_DEVICES": "GPU-a, 1,-1,2"}, tmp_path) == ["GPU-a", "1"]
    assert devices_of({"gpus": 1}, {"CUDA_VISIBLE_DEVICES": "3,5"}, tmp_path) == ["3"]
    assert devices_of({"gpus": 0}, {}, tmp_path) == []
    assert devices_of({"gpus": [1, "GPU-a"]}, {}, tmp_path) == ["1", "GPU-a"]


@pytest.mark.parametrize("wrong", [-1, True, 1.5, "two", [], [0, 0]])
def test_what_is_no_number_of_gpus_is_refused(wrong: Any) -> None:
    with pytest.raises(RecipeError, match="expected their number, or a list of different names"):
        devices_of({"gpus": wrong}, {})
    with pytest.raises(RecipeError, match="unknown key 'gpu'"):
        devices_of({"gpu": 1}, {})
