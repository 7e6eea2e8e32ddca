"""The shape of the tree: what must not lie where, how big it may get, which texts must not appear."""

import re
from pathlib import Path

import yaml

FOLDERS = ("collectors", "training", "models", "datasets")
# What a reader finds first: one more file here is one more question, so it is named here or lies elsewhere.
AT_THE_ROOT = {
    *FOLDERS,
    *("quagpredict", "tests", "bench", "docs", "constraints"),
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"),
    *("pyproject.toml", "setup.py", "MANIFEST.in", "Makefile", ".ci", ".github", ".gitignore"),
}
MOST_LINES = 400
MOST_BYTES = 2 * 1024 * 1024


def test_the_four_folders_are_not_packages(root: Path) -> None:
    assert [str(file) for folder in FOLDERS for file in (root / folder).rglob("__init__.py")] == []


def test_nothing_stray_lies_at_the_root(root: Path, tracked: list[Path]) -> None:
    assert {file.relative_to(root).parts[0] for file in tracked} == AT_THE_ROOT


def test_no_module_is_named_like_a_folder(modules: dict[str, Path]) -> None:
    assert [name for name in modules if set(name.split(".")) & set(FOLDERS)] == []


def test_no_module_is_called_utils(modules: dict[str, Path]) -> None:
    assert [name for name in modules if name.split(".")[-1] in {"utils", "util", "helpers", "common", "misc"}] == []


def test_modules_have_one_subject(root: Path, tracked_text: dict[Path, str]) -> None:
    sources = {file: text for file, text in tracked_text.items() if file.suffix == ".py"}
    lengths = {str(file.relative_to(root)): text.count("\n") for file, text in sources.items()}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_no_tracked_file_is_big(root: Path, tracked: list[Path]) -> None:
    sizes = {str(file.relative_to(root)): file.stat().st_size for file in tracked}
    assert {name: size for name, size in sizes.items() if size > MOST_BYTES} == {}


def matches(pattern: str, texts: dict[Path, str], root: Path, suffix: str = "") -> list[str]:
    """``file:line`` of every match."""
    return [
        f"{file.relative_to(root)}:{text[: match.start()].count(chr(10)) + 1}"
        for file, text in texts.items()
        if file.name.endswith(suffix)
        for match in re.finditer(pattern, text)
    ]


def test_no_path_of_a_machine(root: Path, tracked_text: dict[Path, str]) -> None:
    pattern = r"(?<![\w.])/(?:work|root|opt|(?:home|Users)/[\w.-]+)/"
    assert matches(pattern, {Path(root / "x"): "see " + "/".join(["", "root", "a"])}, root) == ["x:1"]
    assert matches(pattern, tracked_text, root) == []


def test_type_ignores_carry_their_code(root: Path, tracked_text: dict[Path, str]) -> None:
    assert matches(r"#\s*type:\s*ignore(?!\[)", tracked_text, root, ".py") == []


def test_nothing_is_skipped(root: Path, tracked_text: dict[Path, str]) -> None:
    pattern = r"\bpytest\.(?:mark\.)?(?:skip|skipif|xfail|importorskip)\b|doctest:\s*\+SKIP|\bassert[ ]True\b"
    assert matches(pattern, tracked_text, root, ".py") == []


def test_every_yaml_file_parses(root: Path, tracked_text: dict[Path, str]) -> None:
    files = [file for file in tracked_text if file.suffix in {".yaml", ".yml"}]
    assert len(files) >= 10
    for file in files:
        assert isinstance(yaml.safe_load(tracked_text[file]), dict), file.relative_to(root)
