"""Leases held against a model: collectors of several machines, each step in any order, with clocks that leap."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.collection.holders import Holders, Machine
from quagpredict.collection.leases import Lease, Leases
from quagpredict.errors import InvalidDataError

STAGE = "sft/a"


class Collector:
    """One collector on a machine of its own, with a clock of its own."""

    def __init__(self, root: Path, number: int) -> None:
        self.now = 0.0
        machine = Machine(f"boot {number}", "")
        self.holders = Holders(root, machine=machine, clock=lambda: self.now, alive=False, lease_seconds=10)
        self.leases = Leases(root, self.holders)
        self.held: Lease | None = None
        self.ended: str | None = None  # log of an attempt that counts and is not yet in the ledger
        self.stopped = False


class SharedFolder:
    """Collectors at one stage, and what counts of what they do."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.all = [Collector(self.root, number) for number in range(2)]
        self.ledger: set[str] = set()  # logs
        self.counted: list[int] = []  # number of the lease of each attempt that counts
        self.logs = 0

    def claim(self, one: Collector) -> None:
        if one.stopped or one.held is not None or self.ledger:
            return
        lease = one.leases.claim(STAGE, self.ledger.__contains__)
        if lease is None:
            return
        ends = [one.leases._said(lease.folder.with_name(str(number)) / "end") for number in range(1, lease.number)]
        finished = [said["log"] for said in ends if said is not None and said.get("log")]
        if finished:  # whoever claims finds its record, and writes it down if that was not done
            self.ledger.update(finished)
            one.leases.end(lease)
        else:
            one.held = lease

    def finish(self, one: Collector, works: bool = True) -> None:
        if one.stopped or one.held is None:
            return
        lease, one.held = one.held, None
        self.logs += 1
        log = f"logs/{self.logs}.log" if works else None
        if one.leases.end(lease, log) and log is not None:
            self.counted.append(lease.number)
            one.ended = log

    def write_down(self, one: Collector) -> None:
        if not one.stopped and one.ended is not None:
            self.ledger.add(one.ended)
            one.ended = None

    def beat(self, one: Collector) -> None:
        if not one.stopped:
            one.holders.beat()

    def be_stopped_or_go_on(self, one: Collector) -> None:
        one.stopped = not one.stopped

    def stay_silent(self, one: Collector) -> None:
        for other in self.all:
            other.holders.sign_of(one.holders.me)
            other.now += 10

    def be_killed_and_started_again(self, one: Collector) -> None:
        one.holders.close()
        self.all[self.all.index(one)] = Collector(self.root, self.logs + 100)


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            # What leads to trouble is drawn more often than what ends it.
            st.sampled_from(
                ["claim"] * 4
                + ["finish"] * 2
                + ["stay_silent"] * 3
                + ["write_down", "fail", "beat", "leap", "be_stopped_or_go_on", "be_killed_and_started_again"]
            ),
            st.integers(0, 1),
            st.floats(-1e6, 1e6),
        ),
        min_size=30,
        max_size=60,
    )
)
def test_nothing_counts_twice_whatever_stops_dies_or_leaps(steps: list[tuple[str, int, float]]) -> None:
    folder = SharedFolder()
    try:
        for what, who, seconds in steps:
            one = folder.all[who]
            if what == "leap":
                one.now += seconds
            elif what == "fail":
                folder.finish(one, works=False)
            else:
                getattr(folder, what)(one)
            assert len(folder.counted) <= 1
            assert sum(o.held is not None and o.leases.is_ours(o.held) for o in folder.all) <= 1
    finally:
        for one in folder.all:
            one.holders.close()
        shutil.rmtree(folder.root)


@pytest.fixture
def two(tmp_path: Path) -> tuple[Collector, Collector]:
    return Collector(tmp_path, 1), Collector(tmp_path, 2)


def test_a_stopped_holder_loses_and_learns_it(two: tuple[Collector, Collector]) -> None:
    first, second = two
    lease = first.leases.claim("sft/a")
    assert lease is not None
    assert second.leases.claim("sft/a") is None
    second.now += 10
    taken = second.leases.claim("sft/a")
    assert taken is not None
    assert (lease.number, lease.is_quiet) == (1, True)
    assert (taken.number, taken.is_quiet) == (2, False)  # what the first has started may still write
    assert not first.leases.is_ours(lease)
    assert not first.leases.end(lease, "logs/sft-a-1.log")
    assert second.leases.end(taken, "logs/sft-a-2.log")


def test_what_may_never_be_taken_over(two: tuple[Collector, Collector]) -> None:
    first, second = two
    assert first.leases.claim("ledger", forever=True) is not None
    second.leases.claim("ledger", forever=True)
    second.now += 100
    assert second.leases.claim("ledger", forever=True) is None
    first.holders.close()
    assert second.leases.claim("ledger", forever=True) is not None


def test_what_runs_elsewhere_is_left_alone_until_somebody_knows_that_it_ended(tmp_path: Path) -> None:
    holders = Holders(tmp_path, alive=False, elsewhere=True)
    assert Leases(tmp_path, holders).claim("sft/a") is not None
    holders.close()  # killed: its jobs go on in the queue
    leases = Leases(tmp_path, Holders(tmp_path, alive=False))
    assert leases.claim("sft/a") is None
    assert leases.claim("sft/a", running={"sft/a"}) is None
    lease = leases.claim("sft/a", running=())
    assert lease is not None
    assert not lease.is_quiet


def test_a_reply_that_was_lost_is_no_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is asked twice to rename says the second time that it cannot: it has done so."""
    rename = Path.rename

    def twice(self: Path, target: Path) -> Path:
        rename(self, target)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", twice)
    leases = Leases(tmp_path, Holders(tmp_path, alive=False))
    lease = leases.claim("sft/a")
    assert lease is not None
    assert leases.end(lease)
    assert not leases.end(lease)


def test_a_claim_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a power cut leaves the name with nothing in it, and the stage could never be claimed again."""
    leases = Leases(tmp_path, Holders(tmp_path, alive=False))
    flushed: list[int] = []
    rename, fsync = Path.rename, os.fsync

    def after_flush(self: Path, target: Path) -> Path:
        assert (self / "said.json").stat().st_ino in flushed
        return rename(self, target)

    def noted(handle: int) -> None:
        flushed.append(os.fstat(handle).st_ino)
        fsync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(Path, "rename", after_flush)
    lease = leases.claim("sft/a")
    assert lease is not None
    assert leases.end(lease)


def test_a_claim_that_a_power_cut_emptied_is_named(tmp_path: Path) -> None:
    leases = Leases(tmp_path, Holders(tmp_path, alive=False))
    lease = leases.claim("sft/a")
    assert lease is not None
    (lease.folder / "said.json").write_text("")
    with pytest.raises(InvalidDataError, match=r"claims/sft/a/1/said\.json: is not JSON; .* remove .*/sft/a/1 to have"):
        leases.claim("sft/a")
