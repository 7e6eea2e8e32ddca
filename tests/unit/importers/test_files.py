"""Folders, globs, encodings and compression: read, or a clear word each."""

import gzip
import json
from pathlib import Path

import pytest

from quagpredict.errors import InvalidDataError, UsageError
from quagpredict.importers import import_run


def counts(found):
    return {row["problem_id"]: (row["n"], row["c"]) for row in found.problems.iter_rows(named=True)}


def test_folders_globs_encodings_and_compression(tmp_path):
    records = [{"id": f"é{i}", "n": 4, "c": i} for i in range(4)]
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    table = "id,n,c\n" + "".join(f"é{i},4,{i}\n" for i in range(4))
    expected = {f"é{i}": (4, i) for i in range(4)}
    for name, content in (("a.jsonl", text), ("a.csv", table), ("a.tsv", table.replace(",", "\t"))):
        for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"):
            file = tmp_path / name
            file.write_bytes(content.encode(encoding))
            assert counts(import_run("auto", [file], candidate="a")) == expected, (name, encoding)
        packed = tmp_path / f"{name}.gz"
        packed.write_bytes(gzip.compress(content.encode("utf-16")))
        assert counts(import_run("auto", [packed], candidate="a")) == expected
        packed.write_bytes(gzip.compress(content.encode()))
        assert counts(import_run("auto", [packed], candidate="a")) == expected
        packed.write_bytes(gzip.compress(content.encode())[:-9])
        with pytest.raises(InvalidDataError, match=r"a\.\w+\.gz"):
            import_run("counts", [packed], candidate="a")
        packed.unlink()
    zstd = Path(__file__).parent / "files" / "counts.jsonl.zst"
    assert counts(import_run("auto", [zstd], candidate="a")) == {"p0": (4, 1), "p1": (4, 3)}
    folder = tmp_path / "one"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "c.csv").write_text(table)
    (folder / "notes.json").write_text("{}")
    for path in (folder, tmp_path / "o*", str(tmp_path / "one" / "**" / "*.csv")):
        assert counts(import_run("auto", [path], candidate="a")) == expected
    assert counts(import_run("auto", [folder, folder / "deep" / "c.csv"], candidate="a")) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"BZh91AY", "compressed with bzip2: unpack it"),
        (b'{"id": "\xff\xfe\xfa", "n": 1, "c": 1}\n', "neither UTF-8 nor UTF-16"),
        (b"", "the file"),
        (b"[1]\n", "must be a JSON object, got list"),
    ],
)
def test_what_is_not_readable_is_said(tmp_path, content, message):
    file = tmp_path / "a.jsonl"
    file.write_bytes(content)
    with pytest.raises(InvalidDataError, match=rf"a\.jsonl.*{message}|no problem is in it|is missing"):
        import_run("counts", [file], candidate="a")


def test_names_that_match_nothing(tmp_path):
    with pytest.raises(UsageError, match="no file matches"):
        import_run("auto", [tmp_path / "*.jsonl"], candidate="a")
    with pytest.raises(UsageError, match="holds no file to import"):
        import_run("auto", [tmp_path], candidate="a")
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(InvalidDataError, match="no file of a known format"):
        import_run("auto", [tmp_path], candidate="a")
    with pytest.raises(InvalidDataError, match="no file of the format counts"):
        import_run("counts", [tmp_path], candidate="a")
