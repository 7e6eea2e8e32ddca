import doctest
from pathlib import Path

GUIDE = Path(__file__).parents[3] / "docs" / "guide" / "search.md"


def test_the_examples_of_the_guide_run() -> None:
    found = doctest.testfile(str(GUIDE), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert found.attempted >= 10
    assert found.failed == 0
