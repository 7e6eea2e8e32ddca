"""Samples and counts of other evaluation tools, brought into the table with an audit."""

from typing import TYPE_CHECKING

from quagpredict.lazy import lazy_names

if TYPE_CHECKING:
    from quagpredict.importers.audit import Audit as Audit
    from quagpredict.importers.audit import Difference as Difference
    from quagpredict.importers.formats import FORMATS as FORMATS
    from quagpredict.importers.formats import detect as detect
    from quagpredict.importers.importing import Imported as Imported
    from quagpredict.importers.importing import import_run as import_run
    from quagpredict.importers.many import import_runs as import_runs
    from quagpredict.importers.many import runs_by_name as runs_by_name
    from quagpredict.importers.many import write_imported as write_imported
    from quagpredict.importers.mlflow_runs import read_mlflow as read_mlflow
    from quagpredict.importers.statistics import Statistic as Statistic
    from quagpredict.importers.statistics import coverage_ratio as coverage_ratio
    from quagpredict.importers.statistics import pass_at_group as pass_at_group

# The command line reads the table of formats, and nothing of polars for it.
__getattr__, __dir__, __all__ = lazy_names(__name__)
