"""Copies the four data folders into the wheel as quagpredict/_shipped; all metadata is in pyproject.toml."""

from pathlib import Path
from shutil import copytree, ignore_patterns, rmtree

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithShippedFiles(build_py):
    """An editable install reads the folders where they lie, so only a real build copies them."""

    def run(self) -> None:
        super().run()
        shipped = Path(self.build_lib, "quagpredict", "_shipped")
        rmtree(shipped, ignore_errors=True)
        for folder in () if self.editable_mode else ("collectors", "training", "models", "datasets"):
            copytree(folder, shipped / folder, ignore=ignore_patterns("__pycache__", "*.py[co]", ".*"))


setup(cmdclass={"build_py": BuildWithShippedFiles})
