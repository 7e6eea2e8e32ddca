"""Compressed files have a limit, whichever way they are read."""

import gzip
from pathlib import Path

import pytest

from quagpredict.corpus import read_corpus
from quagpredict.errors import CorpusError, InvalidDataError
from quagpredict.importers import import_run
from quagpredict.packed import Unpacked, packing_of, unpacked_zstd

ZSTD = Path(__file__).parent / "importers" / "files" / "counts.jsonl.zst"
FRAME = b"\x28\xb5\x2f\xfd\x00\x58"  # a frame with a window, no size, no checksum


def repeated(size, last=True):
    """One zstd block that stands for so many bytes of one letter, and takes four."""
    return (size << 3 | 1 << 1 | last).to_bytes(3, "little") + b"a"


def test_zstd_is_unpacked():
    assert packing_of(ZSTD) == "zstd"
    assert unpacked_zstd(ZSTD.read_bytes(), ZSTD).count(b"\n") == 1
    assert unpacked_zstd(FRAME + repeated(1000), ZSTD) == b"a" * 1000
    skipped = (0x184D2A50).to_bytes(4, "little") + (3).to_bytes(4, "little") + b"abc"
    assert unpacked_zstd(FRAME + repeated(10) + skipped, ZSTD) == b"a" * 10


def test_a_bomb_of_zstd_is_not_unpacked(tmp_path):
    bomb = FRAME + repeated(2**17, last=False) * 10_000 + repeated(1)  # 40 KB for 1.3 GB
    with pytest.raises(InvalidDataError, match=r"unpacks to more than 268,435,456 bytes"):
        unpacked_zstd(bomb, Path("a.zst"))
    with pytest.raises(InvalidDataError, match="unpacks to more than 50 bytes"):
        unpacked_zstd(FRAME + repeated(51), Path("a.zst"), 50)
    file = tmp_path / "a.jsonl.zst"
    file.write_bytes(bomb)
    with pytest.raises(InvalidDataError, match=r"a\.jsonl\.zst: the file unpacks to more than"):
        import_run("counts", [file], candidate="a")


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-2], lambda b: b[:9], lambda b: b + b"abcdef", lambda b: b[:6] + b"\xff" * (len(b) - 6)]
)
def test_damaged_zstd_is_an_error(damage):
    with pytest.raises(InvalidDataError, match=r"a\.zst: cannot be read as zstd"):
        unpacked_zstd(damage(ZSTD.read_bytes()), Path("a.zst"))


def test_a_bomb_of_gzip_stops_however_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("quagpredict.packed._MOST_UNPACKED", 1000)
    file = tmp_path / "a.json.gz"
    file.write_bytes(gzip.compress(b" " * 1_000_000 + b"{}"))
    for read in (
        lambda raw: raw.read(),
        lambda raw: raw.read(500_000),
        lambda raw: [raw.read1(4000) for _ in range(500)],
    ):
        with Unpacked(file) as raw, pytest.raises(InvalidDataError, match="unpacks to more than"):
            read(raw)
    for name in ("a.json.gz", "a.jsonl.gz", "a.csv.gz"):  # whole, line by line, by polars
        packed = tmp_path / name
        packed.write_bytes(file.read_bytes())
        with pytest.raises(InvalidDataError, match=r"a\.\w+\.gz: the file unpacks to more than"):
            import_run("counts", [packed], candidate="a")


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json"])
def test_a_table_under_another_name_is_not_unpacked(tmp_path, name):
    file = tmp_path / name
    for content, kind in ((gzip.compress(b"candidate,pre_pass_at_1\na,0.5\n"), "gzip"), (ZSTD.read_bytes(), "zstd")):
        file.write_bytes(content)
        with pytest.raises(CorpusError, match=rf"compressed with {kind}: unpack it"):
            read_corpus(file)
