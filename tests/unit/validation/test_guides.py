"""The examples in the guides run as they stand."""

import doctest
from pathlib import Path

import pytest

GUIDES = Path(__file__).parents[3] / "docs" / "guide"


@pytest.mark.parametrize("name", ["quagmires.md", "surrogates.md", "validation.md"])
def test_the_examples_run(name: str) -> None:
    found = doctest.testfile(str(GUIDES / name), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert found.attempted >= 4
    assert found.failed == 0
