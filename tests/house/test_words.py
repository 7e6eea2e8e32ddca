"""The library speaks Python: only the command line names options."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

# The command line itself; what prints for it; the frame of the programs, whose command line it reads.
SPEAK_OPTIONS = ("quagpredict.cli", "quagpredict.report", "quagpredict.program", "quagpredict.__main__")
OPTION = re.compile(r"(?<![\w-])--[a-z]")


def sentences(source: str) -> Iterator[tuple[int, str]]:
    """Every text with a blank in it that is no docstring: what is said, not what is passed to a program."""
    tree = ast.parse(source)
    documented = [node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)]
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) and node not in documented else None
        if isinstance(text, str) and " " in text.strip():
            yield node.lineno, text


def test_an_option_is_seen() -> None:
    source = 'def f():\n    """Use --this."""\n    run("--that")\n    raise ValueError(f"{1} needs --more of it")'
    assert [line for line, text in sentences(source) if OPTION.search(text)] == [4]


def test_the_library_names_no_option(modules: dict[str, Path]) -> None:
    found = [
        f"{module}:{line}: {text}"
        for module, file in modules.items()
        if not module.startswith(SPEAK_OPTIONS)
        for line, text in sentences(file.read_text(encoding="utf-8"))
        if OPTION.search(text)
    ]
    assert found == []
