"""Samples and counts of other evaluation tools, brought into the table with an audit."""

from quagpredict.importers.audit import Audit, Difference
from quagpredict.importers.importing import FORMATS, Imported, detect, import_run

__all__ = ["FORMATS", "Audit", "Difference", "Imported", "detect", "import_run"]
