"""The table: one row a candidate, every column named once."""

from quagpredict.corpus.assemble import assemble_row
from quagpredict.corpus.check import check_corpus
from quagpredict.corpus.design import design_matrix
from quagpredict.corpus.files import write_corpus
from quagpredict.corpus.reading import read_corpus, read_provenance
from quagpredict.schema import COLUMNS, SCHEMA_VERSION, Column

__all__ = [
    "COLUMNS",
    "SCHEMA_VERSION",
    "Column",
    "assemble_row",
    "check_corpus",
    "design_matrix",
    "read_corpus",
    "read_provenance",
    "write_corpus",
]
