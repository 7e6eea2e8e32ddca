"""Samples and counts of other evaluation tools, brought into the table with an audit."""

from quagpredict.importers.audit import Audit, Difference
from quagpredict.importers.formats import FORMATS, detect
from quagpredict.importers.importing import Imported, import_run
from quagpredict.importers.many import import_runs, runs_by_name, write_imported
from quagpredict.importers.statistics import Statistic, coverage_ratio, pass_at_group

__all__ = [
    "FORMATS",
    "Audit",
    "Difference",
    "Imported",
    "Statistic",
    "coverage_ratio",
    "detect",
    "import_run",
    "import_runs",
    "pass_at_group",
    "runs_by_name",
    "write_imported",
]
