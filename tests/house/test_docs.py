"""README and docs held true: links resolve, quoted command lines parse with the real parser."""

import re
import shlex
from pathlib import Path

import pytest

from quagpredict.cli import build_parser

FENCE = re.compile(r"^(`{3,}|~{3,})[^\n]*\n(.*?)^\1", re.MULTILINE | re.DOTALL)
INLINE_LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)")
LINK_DEFINITION = re.compile(r"^\s{0,3}\[[^\]]+\]:\s*(\S+)", re.MULTILINE)


@pytest.fixture(scope="module")
def pages(root: Path, tracked: list[Path]) -> list[Path]:
    """Every tracked Markdown file."""
    return [file for file in tracked if file.suffix == ".md"]


def headings(text: str) -> set[str]:
    """The anchors that a page's headings make."""
    titles = re.findall(r"^#{1,6}\s+(.+?)\s*$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(page: Path) -> list[str]:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    broken = []
    for target in [*INLINE_LINK.findall(text), *LINK_DEFINITION.findall(text)]:
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (
            anchor and file.suffix == ".md" and anchor not in headings(file.read_text(encoding="utf-8"))
        ):
            broken.append(target)
    return broken


def test_every_relative_link_resolves(root: Path, pages: list[Path]) -> None:
    assert len(pages) >= 3
    found = {str(page.relative_to(root)): broken_links(page) for page in pages}
    assert {page: links for page, links in found.items() if links} == {}


def test_a_broken_link_is_seen(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# One title\n[x](b.md) [y](#one-title) [z](#two) [w](https://example.org)\n")
    assert broken_links(tmp_path / "a.md") == ["b.md", "#two"]


def quoted_commands(text: str) -> list[list[str]]:
    """The arguments of every `quagpredict ...` line in the fenced blocks of a page."""
    found = []
    for _, block in FENCE.findall(text):
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            words = shlex.split(re.sub(r"^\s*\$\s", "", line), comments=True) if "quagpredict " in line else []
            if words[:1] == ["quagpredict"]:
                end = next((i for i, word in enumerate(words) if word in {"|", ">", "&&", ";", "2>", "&"}), len(words))
                found.append(words[1:end])
    return found


def complaint(words: list[str], capsys: pytest.CaptureFixture[str]) -> str | None:
    """What the real parser says against a command line, if anything."""
    try:
        build_parser(words[0]).parse_args(words)
    except SystemExit as left:
        return capsys.readouterr().err.strip() if left.code else None
    return None


def test_every_quoted_command_line_parses(root: Path, pages: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    quoted = [(page, words) for page in pages for words in quoted_commands(page.read_text(encoding="utf-8"))]
    refused = {
        f"{page.relative_to(root)}: quagpredict {' '.join(words)}": said
        for page, words in quoted
        if (said := complaint(words, capsys))
    }
    assert refused == {}
    assert len(quoted) >= 5


def test_a_wrong_command_line_is_seen(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no-such" in (complaint(["no-such-command"], capsys) or "")
    assert "--sed" in (complaint(["collect", "plan.yaml", "--sed", "1"], capsys) or "")
    assert complaint(["collect", "plan.yaml", "--dry-run"], capsys) is None


def test_quoted_commands_are_found() -> None:
    page = "```bash\n$ quagpredict rank --candidates \\\n    a.parquet | head\nmake demo\n```\n`quagpredict fit`\n"
    assert quoted_commands(page) == [["rank", "--candidates", "a.parquet"]]


def test_every_decision_is_in_the_list_once_and_in_order(root: Path) -> None:
    folder = root / "docs" / "decisions"
    pages = sorted(file.name for file in folder.glob("0*.md") if file.name != "000-index.md")
    listed = re.findall(r"^- \[\d{3}: .*\]\((.+)\)$", (folder / "000-index.md").read_text("utf-8"), re.MULTILINE)
    assert listed == pages
