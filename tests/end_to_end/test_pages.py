"""What the pages of the guide tell their reader to type runs as it stands, in a folder as the reader would have it.

What trains or samples (`evaluate`, `collect`, `search`) has tests of its own that take minutes; all else is typed here.
"""

import doctest
import io
import json
import os
import re
import shlex
from pathlib import Path

import polars as pl
import pytest

from quagpredict.cli import main
from quagpredict.shipped import shipped_path

ROOT = shipped_path("datasets").parent
#: Pages whose every command line is typed; README's needs no folder of its own.
PAGES = ("ten-checkpoints.md", "corpus.md", "importing.md", "ranking.md", "race.md", "../../README.md")
TESTED_APART = ("evaluate", "collect", "search", "doctor", "validate", "import mlflow", "rank --candidates sft.parquet")
TABLES = {
    "mine.csv": "name,pass@64,eval_loss\nmix-a,0.712,0.58\nmix-b,0.649,0.66\nmix-c,0.693,0.49\n",
    "percent.csv": "name,pass@64,eval_loss\nmix-a,71.2,0.58\nmix-b,64.9,0.66\nmix-c,69.3,0.49\n",
    "other.csv": "run,pass 64\nmix-a,0.712\nmix-b,0.649\n",
    "seeds.csv": "name,seed,pass@64\nmix-a,0,0.70\nmix-a,1,0.72\nmix-b,0,0.64\nmix-b,1,0.66\n",
    "losses.csv": "candidate,loss\nbase,0.9\nmix-a,0.58\nmix-b,0.66\n",
    "mixtures.csv": "web,code,books,loss\n"
    + "".join(f"{w / 10},{(9 - w) / 10},0.1,{2 + w / 20 if w < 8 else ''}\n" for w in range(10)),
    "results.csv": "candidate,score_after_rl\nstrong.noisy-256x16-lr0.001-s0,0.53\n",
    "mix-a.csv": "id,n,c\np,8,3\nq,8,5\n",
    **{
        f"out/{name}/aime.csv": f"id,n,c\np,8,{c}\nq,8,{c + 2}\n"
        for name, c in (("base", 1), ("mix-a", 3), ("mix-b", 5))
    },
}


def lines_of(page: str) -> list[str]:
    """Return the commands in the shell blocks of a page."""
    text = (ROOT / "docs" / "guide" / page).read_text("utf-8")
    blocks = re.findall(r"^```bash\n(.*?)^```", text, re.M | re.S)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line for line in lines if re.match(r"(cat \S+ \| )?quagpredict ", line)]


def typed(line: str) -> tuple[list[str], str]:
    """Return the words of a line, and what is piped into it; a glob that is not quoted stands for what it finds."""
    piped, bar, command = line.rpartition("|")
    lexer = shlex.shlex(command if bar else line, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters = True, "#"
    words = []
    for word in list(lexer)[1:]:
        quoted = re.search(rf"[\"']{re.escape(word)}[\"']", line)
        found = sorted(str(path) for path in Path().glob(word)) if "*" in word and not quoted else []
        words += found or [word]
    return words, Path(piped.split()[1]).read_text() if bar else ""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as the pages speak of it: runs, curves, tables of other tools, beside what is shipped."""
    for name in ("datasets", "collectors"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "models").mkdir()
    for name, of in (("mine", "lab"), *((path.name, path.name) for path in (ROOT / "models").iterdir())):
        (tmp_path / "models" / name).symlink_to(ROOT / "models" / of)
    runs = [*sorted((ROOT / "datasets/lab/candidates").glob("strong.*")), ROOT / "datasets/lab/no-sft.parquet"]
    for name in ("runs", "eval/aime25", "out/base", "out/mix-a", "out/mix-b"):
        (tmp_path / name).mkdir(parents=True)
    for path in runs:
        (tmp_path / "runs" / path.name).symlink_to(path)
    (tmp_path / "finished.parquet").symlink_to(ROOT / "datasets/lab/corpus.parquet")
    (tmp_path / "logs").mkdir()
    points = [(pl.read_parquet(path)["candidate"][0], 50, 0.3 + place / 40) for place, path in enumerate(runs[:4])]
    pl.DataFrame(points, ["candidate", "step", "pass_at_1"], orient="row").write_csv(tmp_path / "curves.csv")
    for name, text in TABLES.items():
        (tmp_path / name).write_text(text)
    answers = pl.DataFrame({"task": ["p", "p", "q", "q"], "reward": [1.0, 0.0, 1.0, 1.0], "answer": ["4"] * 4})
    texts = [f"a response of some length, number {place}: 4" for place in range(4)]
    answers.with_columns(text=pl.Series(texts)).write_parquet(tmp_path / "mix-a.parquet")
    lm_eval = [
        {"doc_id": doc, "target": "4", "resps": [[f"{doc}: it is 4"]], "filtered_resps": ["4"], "exact_match": 1.0}
        for doc in range(3)
    ]
    nemo = [
        {
            "problem": name,
            "expected_answer": "4",
            "generation": f"{name}, so 4",
            "predicted_answer": "4",
            "is_correct": True,
        }
        for name in "ab"
    ]
    for name, records in (("logs/samples_gsm8k_2026-01-31.jsonl", lm_eval), ("eval/aime25/output-rs0.jsonl", nemo)):
        (tmp_path / name).write_text("".join(json.dumps(record) + "\n" for record in records))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES)
def test_every_line_runs(
    page: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    apart = tuple(f"quagpredict {words}" for words in TESTED_APART)
    lines = [line for line in lines_of(page) if not line.startswith(apart)]
    assert len(lines) >= 3
    for line in lines:
        words, piped = typed(line)
        monkeypatch.setattr("sys.stdin", io.StringIO(piped))
        assert main(words) == 0, f"{line}\n{capsys.readouterr().err}"
        for path in Path("runs").glob("mix-*.parquet"):  # not comparable with the runs of the lab that lie there
            path.unlink()


@pytest.mark.parametrize("page", ["corpus.md", "metrics.md", "ranking.md", "../../README.md"])
def test_every_block_of_python_runs(page: str, folder: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "guide" / page).read_text("utf-8"), re.M | re.S)
    assert blocks
    known: dict[str, object] = {}
    for block in blocks:
        if block.startswith(">>>"):
            runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
            example = doctest.DocTestParser().get_doctest(block, known, page, None, 0)
            example.globs = known  # what one block defines the next may use
            runner.run(example, clear_globs=False)
            assert runner.summarize().failed == 0
        else:
            exec(compile(block, page, "exec"), known)


def test_the_readme_shows_what_the_demo_prints(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = re.search(r"^demo:.*\n\t\$\(DEMO\)/(.*)$", (ROOT / "Makefile").read_text("utf-8"), re.M)
    shown = re.search(r"^make demo\n.*?^```text\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.M | re.S)
    assert recipe
    assert shown
    monkeypatch.setenv("COLUMNS", "80")
    assert main(typed(recipe[1])[0]) == 0
    printed = capsys.readouterr().out
    assert [line.rstrip() for line in printed.rstrip().splitlines()] == shown[1].splitlines()


def test_a_glob_is_read_as_a_shell_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    words, _ = typed("quagpredict rank datasets/lab/candidates/strong.*.parquet --top 3  # the first three")
    assert len(words) == 11
    assert all(Path(word).exists() for word in words[1:9])
    assert typed('quagpredict rank "datasets/*.parquet"')[0] == ["rank", "datasets/*.parquet"]
    assert os.path.sep in words[1]
