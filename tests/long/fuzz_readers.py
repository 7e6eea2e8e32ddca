"""Fuzz the readers: whatever is in a file, a clear error or a right result; no traceback, hang, abort or wrong table.

python tests/long/fuzz_readers.py --files 20000 --seed 0

Real files of every kind are changed (bits flipped, cut, pieces doubled or dropped, values swapped for others) and read,
one after the other, in a child process with a time limit. A *wrong table* is one that differs from the unchanged file's
although the changed file vouches for its bytes. Not part of `make test`.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import random
import select
import shutil
import subprocess
import sys
import time
import warnings
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "importers"))  # for what is no package's
sys.path.insert(0, str(Path(__file__).parent))

from damage import cut, doubled, dropped, flipped, swapped_json, swapped_yaml, swapped_zip
from test_wrong_shapes import FILES

from quagpredict.errors import QuagpredictError
from quagpredict.shipped import shipped_path, shipped_root

LIMIT_S = 60.0
OUTCOMES = ("error", "right", "traceback", "hang", "abort", "wrong")
IMPORTED = Path(__file__).parents[1] / "unit" / "importers" / "files"


@dataclass(frozen=True)
class Reader:
    """A kind of file: the seed, the name it must have, what reads it, and whether the file vouches for its bytes."""

    name: str
    seed: bytes
    file: str
    read: Callable[[Path], Any]
    sealed: bool = False


def table(path: Path) -> str:
    from quagpredict.corpus import read_corpus

    return digest_of(read_corpus(path, allow_mixed_protocols=True))


def archive(path: Path) -> str:
    from quagpredict.collection.archive import read_archive

    return hashlib.sha256(repr(read_archive(path)).encode()).hexdigest()


def ledger(path: Path) -> int:
    from quagpredict.collection.ledger import read_ledger

    return len(read_ledger(path))


def record(path: Path) -> str:
    from quagpredict.run_record import read_record

    return read_record(path.parent).program


def samples(path: Path) -> str:
    from quagpredict.evaluation.samples import SampleStore, _digest

    # The part's name holds the digest of the unchanged bytes.
    seed = SEEDS["samples"]
    with TemporaryDirectory() as folder:
        with SampleStore(Path(folder), {"max_new_tokens": 8}, str) as store:
            shutil.copy(path, store.folder / f"part-00000-{_digest(seed)}.parquet")
        with SampleStore(Path(folder), {"max_new_tokens": 8}, str) as store:
            found = store.scan().collect()
        return "nothing" if found.is_empty() else digest_of(found)


def surrogate(path: Path) -> str:
    from quagpredict.surrogates import load_surrogate

    return load_surrogate(path.parent).name if hasattr(load_surrogate(path.parent), "name") else "read"


def search(path: Path) -> str:
    from quagpredict.mixture_search.space_file import SearchPlan

    return SearchPlan.from_yaml(path).space.name


def plan(path: Path) -> str:
    from quagpredict.collection.stages import stages_of
    from quagpredict.plans.plan import Plan

    read = Plan.from_yaml(path)
    return f"{read.plan_id} {len(stages_of(read))}"


def suite(path: Path) -> str:
    from quagpredict.evaluation import read_suite

    return read_suite(path).eval_protocol_id


def recipe(path: Path) -> str:
    from quagpredict.plans.recipe import Recipe, recipe_id

    return recipe_id({"pretrain": {}}, dict(Recipe.read(path).config))


def problems(path: Path) -> int:
    from quagpredict.evaluation.sources import file_rows

    return len(file_rows(path, "benchmark"))


def imported(path: Path) -> str:
    from quagpredict.importers import import_run

    # Most seeds are one file of a run: what that lacks is allowed, so that all of the reader is reached.
    import_run("auto", [path], candidate="a", allow_ragged=True, allow_duplicates=True, allow_mixed_settings=True)
    return "read"


def digest_of(frame: pl.DataFrame) -> str:
    return hashlib.sha256(frame.write_ndjson().encode()).hexdigest()


def seeds() -> dict[str, bytes]:
    """Real files: shipped ones, and small ones made by the code that writes them."""
    from quagpredict.corpus import read_corpus
    from quagpredict.evaluation.samples import COLUMNS

    lab = shipped_path("datasets/lab-pilot")
    frame = read_corpus(sorted((lab / "candidates").glob("*.parquet"))[:3])
    foreign = io.BytesIO()
    frame.write_parquet(foreign)
    flat = frame.select(name for name, dtype in frame.schema.items() if not dtype.is_nested())
    row = {"key": "k", "benchmark": "b", "problem_id": "1", "sample": 0, "seed": 7, "prompt_tokens": 5, "response": "4"}
    row |= {"tokens": [4], "length": 2, "finish_reason": "stop", "log_prob_sum": -0.1, "entropy_sum": 0.2}
    part = io.BytesIO()
    pl.DataFrame([row | {"sample": number} for number in range(20)], schema=COLUMNS).write_parquet(part)
    archive_file = shipped_root() / "datasets" / "lab-2" / "records-plain.parquet"
    lines = pl.read_parquet(archive_file, columns=["attempt"])["attempt"].to_list()[:6]
    attempt = json.loads(lines[0])
    asked = pl.DataFrame({"id": ["a", "b"], "problem": ["1+1?", "2*3?"], "answer": ["2", "6"]})
    return {
        "corpus.parquet": sorted((lab / "candidates").glob("*.parquet"))[0].read_bytes(),
        "foreign.parquet": foreign.getvalue(),
        "corpus.csv": flat.write_csv().encode(),
        "corpus.jsonl": frame.write_ndjson().encode(),
        "archive": archive_file.read_bytes(),
        "ledger": "".join(f"{line}\n" for line in lines).encode(),
        "record": json.dumps(attempt["record"]).encode(),
        "samples": part.getvalue(),
        "surrogate": (shipped_path("models/lab") / "surrogate.json").read_bytes(),
        "search": shipped_path("collectors/searches/lab-mixture.yaml").read_bytes(),
        "plan": shipped_path("collectors/plans/lab-pilot.yaml").read_bytes(),
        "suite": shipped_path("collectors/suites/lab-pilot.yaml").read_bytes(),
        "problems.jsonl": asked.write_ndjson().encode(),
        "problems.csv": asked.write_csv().encode(),
        "recipe": shipped_path("training/recipes/lab/grpo.yaml").read_bytes(),
    }


SEEDS: dict[str, bytes] = {}


def readers() -> list[Reader]:
    SEEDS.update(seeds())
    found = [
        Reader("corpus.parquet", SEEDS["corpus.parquet"], "a.parquet", table, sealed=True),
        Reader("foreign.parquet", SEEDS["foreign.parquet"], "a.parquet", table),
        Reader("corpus.csv", SEEDS["corpus.csv"], "a.csv", table),
        Reader("corpus.jsonl", SEEDS["corpus.jsonl"], "a.jsonl", table),
        Reader("archive", SEEDS["archive"], "a.parquet", archive, sealed=True),
        Reader("ledger", SEEDS["ledger"], "ledger.jsonl", ledger),
        Reader("record", SEEDS["record"], "record.json", record),
        Reader("samples", SEEDS["samples"], "part.parquet", samples, sealed=True),
        Reader("surrogate", SEEDS["surrogate"], "surrogate.json", surrogate),
        Reader("search", SEEDS["search"], "a.yaml", search),
        Reader("plan", SEEDS["plan"], "a.yaml", plan),
        Reader("suite", SEEDS["suite"], "a.yaml", suite),
        Reader("recipe", SEEDS["recipe"], "a.yaml", recipe),
        Reader("problems.jsonl", SEEDS["problems.jsonl"], "a.jsonl", problems),
        Reader("problems.csv", SEEDS["problems.csv"], "a.csv", problems),
    ]
    for file in sorted(one for one in IMPORTED.rglob("*") if one.is_file() and one.stat().st_size < 200_000):
        if file.suffix not in (".py", ".md"):
            name = f"import {file.relative_to(IMPORTED).as_posix().replace('/', ' ')}"
            found.append(Reader(name, file.read_bytes(), file.name, imported))
    for format, (name, content, _, _) in FILES.items():
        lines = name.endswith(".jsonl") and isinstance(content, list)
        text = "".join(json.dumps(one) + "\n" for one in content) if lines else json.dumps(content)
        found.append(Reader(f"import {format}", text.encode(), name, imported))
    log = deflated((IMPORTED / "inspect_toy.json").read_bytes())
    found.append(Reader("import deflated .eval", log, "a.eval", imported))
    return found


def deflated(log: bytes) -> bytes:
    """An .eval log as Inspect wrote it before it took zstd: the values in it can be swapped."""
    whole = json.loads(log)
    members = {f"samples/{one['id']}_epoch_{one['epoch']}.json": one for one in whole.pop("samples")}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in (members | {"header.json": whole}).items():
            packed.writestr(name, json.dumps(content))
    return made.getvalue()


def changed(reader: Reader, rng: random.Random) -> bytes:
    """Return the seed with something wrong in it."""
    ways: list[Callable[[bytes, random.Random], bytes]] = [flipped, flipped, cut, doubled, dropped]
    if reader.file.endswith((".json", ".jsonl")):
        ways += [swapped_json] * 5
    elif reader.file.endswith(".yaml"):
        ways += [swapped_yaml] * 5
    elif reader.file.endswith(".eval"):
        ways += [swapped_zip] * 5
    elif reader.file.endswith(".gz"):
        ways += [lambda content, rng: gzip.compress(swapped_json(gzip.decompress(content), rng))] * 5
    return rng.choice(ways)(reader.seed, rng)


def serve() -> None:
    """Read what the parent names, one line a file; say how it ended."""
    warnings.simplefilter("ignore")
    known = {reader.name: reader for reader in readers()}
    right: dict[str, Any] = {}
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        name, path = json.loads(line)
        reader = known[name]
        if reader.sealed and name not in right:
            seed = Path(path).with_name(f"seed-{reader.file}")
            seed.write_bytes(reader.seed)
            right[name] = reader.read(seed)
        try:
            value = reader.read(Path(path))
            outcome, said = "right", ""
            if reader.sealed and value not in (right[name], "nothing"):
                outcome, said = "wrong", str(value)
        except QuagpredictError as error:
            outcome, said = "error", str(error)
            if not said.strip() or "\n" in said:
                outcome = "traceback"  # no clear error
        except BaseException as error:
            from traceback import extract_tb

            frame = extract_tb(error.__traceback__)[-1]
            ours = [one for one in extract_tb(error.__traceback__) if "quagpredict" in one.filename]
            at = ours[-1] if ours else frame
            outcome = "traceback"
            said = f"{type(error).__name__}: {str(error)[:150]!r} at {Path(at.filename).name}:{at.lineno}"
        answers.write(json.dumps([outcome, said[:400]]) + "\n")
        answers.flush()


class Child:
    """The process that reads; a new one after each that died or hung."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def read(self, name: str, path: Path) -> tuple[str, str]:
        if self._process is None:
            command = [sys.executable, __file__, "--serve"]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps([name, str(path)]).encode() + b"\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], LIMIT_S)
        line = process.stdout.readline() if ready else b""
        if line.endswith(b"\n"):
            outcome, said = json.loads(line)
            return outcome, said
        self.close()
        return ("hang", f"more than {LIMIT_S:g} s") if not ready else ("abort", f"exit status {process.returncode}")

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def main() -> int:
    """Fuzz, print the counts, keep the files that showed a fault; 1 if any did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="readers whose name holds this text")
    parser.add_argument("--keep", type=Path, help="folder for the files that showed a fault")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.serve:
        serve()
        return 0
    chosen = [reader for reader in readers() if wanted.only in reader.name]
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    faults: dict[str, str] = {}
    child, started = Child(), time.monotonic()
    with TemporaryDirectory() as folder:
        for number in range(wanted.files):
            reader = chosen[number % len(chosen)]
            place = Path(folder) / "file"
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            path = place / reader.file
            path.write_bytes(changed(reader, random.Random(f"{wanted.seed}/{number}")))
            outcome, said = child.read(reader.name, path)
            counts[reader.name][outcome] += 1
            if (number + 1) % 1000 == 0:
                so_far = sum(counts.values(), Counter())
                print(f"{number + 1} files:", *(f"{name} {so_far[name]}" for name in OUTCOMES), flush=True)
            if outcome not in ("error", "right") and (where := f"{reader.name}: {outcome}: {said}") not in faults:
                faults[where] = f"file {number}"
                if wanted.keep:
                    wanted.keep.mkdir(parents=True, exist_ok=True)
                    shutil.copy(path, wanted.keep / f"{number}-{reader.file}")
    child.close()
    total = sum(counts.values(), Counter())
    for name, row in [*counts.items(), ("all", total)]:
        print(f"{name:60}", *(f"{outcome} {row[outcome]:>6}" for outcome in OUTCOMES))
    for fault, number in faults.items():
        print(f"{number}: {fault}")
    print(f"{wanted.files} files, seed {wanted.seed}, {time.monotonic() - started:.0f} s")
    return int(any(total[outcome] for outcome in OUTCOMES[2:]))


if __name__ == "__main__":
    sys.exit(main())
