"""The floors of the design: a module imports from lower floors and its own, never upward."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

FLOORS = (
    {
        *("errors", "arguments", "arrays", "shipped", "optional", "files", "apart", "packed", "parquet"),
        *("lazy", "version"),
    },
    {"plans", "program", "checkpoint", "run_record", "column", "answers", "lab"},
    {"metrics", "schema"},
    {"corpus"},
    {"surrogates", "validation", "engines", "curves"},
    {"ranking", "evaluation", "importers", "diagnosis"},
    {"racing", "collection"},
    {"report", "mixture_search", "replication", "callbacks"},
    {"cli", "__main__", "testing"},
)
FLOOR_OF = {unit: floor for floor, units in enumerate(FLOORS) for unit in units}
TORCH_AND_FRIENDS = {"torch", "transformers", "trl", "accelerate", "datasets", "vllm", "peft", "deepspeed"}
MAY_IMPORT_TORCH = {"engines", "callbacks"}
# The one module that reads data sets of the hub; it imports the library when a suite asks for one.
MAY_ALSO = {("quagpredict.evaluation.sources", "datasets")}
# Results show themselves, as a table when they are printed and in a notebook; what shows them lies above them.
SHOWN_BY = {"quagpredict.report.notebook"}
SHOW_THEMSELVES = {"quagpredict.ranking.result", "quagpredict.racing.result"}
IMPORTING_CALLS = {"require", "import_module", "__import__"}


def imported_names(source: str, module: str, is_package: bool) -> Iterator[tuple[int, str]]:
    """Every (line, absolute dotted name) that the source imports, at the top, inside functions and under TYPE_CHECKING.

    `from a import b` gives ``a.b``, so that a submodule is seen. A literal name given to an importing call counts too.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = module.split(".") if is_package else module.split(".")[:-1]
            above = parents[: len(parents) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and node.args:
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
            name = node.args[0]
            if called in IMPORTING_CALLS and isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield node.lineno, name.value


def unit_of(dotted: str) -> str:
    """``quagpredict.schema`` -> ``corpus``; ``quagpredict`` itself -> ``quagpredict``."""
    return dotted.split(".")[1] if "." in dotted else "quagpredict"


def violations(modules: dict[str, str], packages: set[str]) -> list[str]:
    """One line for each import that goes upward or brings torch where it must not be."""
    wrong = []
    for module, source in modules.items():
        unit = unit_of(module)
        for line, name in imported_names(source, module, module in packages):
            top = name.split(".")[0]
            if top in TORCH_AND_FRIENDS and unit not in MAY_IMPORT_TORCH and (module, top) not in MAY_ALSO:
                wrong.append(f"{module}:{line} imports {top}; only {' and '.join(sorted(MAY_IMPORT_TORCH))} may")
            if top != "quagpredict" or module == "quagpredict":
                continue
            other = unit_of(name)
            if other not in FLOOR_OF:
                wrong.append(f"{module}:{line} imports {name}: import from the module that defines it")
            elif module in SHOW_THEMSELVES and name.rpartition(".")[0] in SHOWN_BY:
                continue
            elif unit in FLOOR_OF and FLOOR_OF[other] > FLOOR_OF[unit]:
                wrong.append(f"{module}:{line} (floor {FLOOR_OF[unit]}) imports {name} (floor {FLOOR_OF[other]})")
    return wrong


def test_every_module_has_a_floor(modules: dict[str, Path]) -> None:
    assert {unit_of(name) for name in modules} - {"quagpredict"} <= set(FLOOR_OF)


def test_nothing_is_imported_upward(modules: dict[str, Path]) -> None:
    sources = {name: file.read_text(encoding="utf-8") for name, file in modules.items()}
    packages = {name for name, file in modules.items() if file.name == "__init__.py"}
    assert violations(sources, packages) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("quagpredict.metrics.counts", "from quagpredict.ranking import rank"),
        ("quagpredict.metrics.counts", "def f():\n    import quagpredict.cli"),
        ("quagpredict.corpus.read", "from ..surrogates import linear"),
        ("quagpredict.errors", "from . import plan"),
        (
            "quagpredict.plans.plan",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from quagpredict.corpus import x",
        ),
        ("quagpredict.plans.plan", "from quagpredict import rank"),
        ("quagpredict.evaluation.suite", "def f():\n    from torch.nn import functional"),
        ("quagpredict.answers", "require('transformers')"),
    ],
)
def test_a_wrong_import_is_seen(module: str, source: str) -> None:
    assert len(violations({module: source}, set())) == 1


def test_right_imports_pass() -> None:
    fine = {
        "quagpredict.cli.rank": "from quagpredict.ranking import rank\nfrom . import table",
        "quagpredict.engines.hf": "import torch",
        "quagpredict.corpus.read": "from quagpredict.errors import CorpusError\nfrom . import schema\nimport polars",
    }
    assert violations(fine, set()) == []
