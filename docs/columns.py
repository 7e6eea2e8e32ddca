"""Write the table of measurements in `docs/guide/corpus.md` from the schema: `python docs/columns.py`."""

from pathlib import Path

import polars as pl

from quagpredict.schema import MEASURES, Column

GUIDE = Path(__file__).parent / "guide" / "corpus.md"
HEAD = "| suffix | type | unit | range | better | scale | meaning |\n| --- | --- | --- | --- | --- | --- | --- |\n"


def table() -> str:
    """Return the table as Markdown, a row a measurement."""
    return HEAD + "".join(f"| {' | '.join(_cells(column))} |\n" for column in MEASURES)


def _cells(column: Column) -> list[str]:
    kind = "whole" if column.dtype == pl.Int64 else "number"
    both = f"{column.low:g} to {column.high:g}" if None not in (column.low, column.high) else ""
    one = f"up to {column.high:g}" if column.low is None and column.high is not None else ""
    one = f"from {column.low:g}" if column.high is None and column.low is not None else one
    scale = "" if column.scale == "identity" else column.scale
    return [f"`{column.name}`", kind, column.unit, both or one, column.better or "", scale, column.description]


if __name__ == "__main__":
    before, _, rest = GUIDE.read_text(encoding="utf-8").partition(HEAD)
    after = rest[rest.index("\n\n") + 1 :]
    GUIDE.write_text(before + table() + after, encoding="utf-8")
