"""Write a table with its provenance."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from quagpredict.corpus.check import check_corpus
from quagpredict.errors import UsageError
from quagpredict.files import canonical_json
from quagpredict.parquet import write_parquet
from quagpredict.schema import SCHEMA_VERSION
from quagpredict.version import own_version


def write_corpus(frame: pl.DataFrame, path: str | Path, provenance: Mapping[str, Any] | None = None) -> None:
    """Check a table and write it as Parquet, aside and renamed.

    Parameters
    ----------
    frame : polars.DataFrame
        One row a candidate. It may hold rows of several eval protocols.
    path : str or Path
        File to write; its name must end in ``.parquet``.
    provenance : mapping
        Where the rows come from; stored in the file's metadata beside ``schema_version``, ``created_by`` and a digest
        of the file's bytes, which reading compares. Values
        that are no text are stored as JSON. `read_provenance` gives it back.

    Raises
    ------
    CorpusError
        If the table breaks the schema; nothing is written then.
    UsageError
        If the name does not end in ``.parquet``.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import polars as pl
    >>> from quagpredict.corpus import read_corpus, read_provenance
    >>> with TemporaryDirectory() as folder:
    ...     write_corpus(pl.DataFrame({"candidate": ["a"]}), f"{folder}/a.parquet", {"plan": "lab-pilot"})
    ...     read_corpus(f"{folder}/a.parquet")["candidate"].item(), read_provenance(f"{folder}/a.parquet")["plan"]
    ('a', 'lab-pilot')
    """
    if Path(path).suffix != ".parquet":
        raise UsageError(f"{path}: a corpus is written as Parquet; give a name that ends in .parquet")
    frame = check_corpus(frame, str(path), allow_mixed_protocols=True)
    metadata = {"schema_version": str(SCHEMA_VERSION), "created_by": f"quagpredict {own_version()}"}
    for key, value in (provenance or {}).items():
        metadata[key] = value if isinstance(value, str) else canonical_json(value)
    # Small row groups let a reader check the nested counts of very many candidates piece by piece.
    write_parquet(frame, path, metadata, row_group_size=2048)
