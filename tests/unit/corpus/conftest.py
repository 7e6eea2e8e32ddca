"""Small valid tables to start tests from."""

import polars as pl
import pytest

from quagpredict.corpus import assemble_row


def _row(name="a", **changes):
    problems = pl.DataFrame(
        {"benchmark": ["lab", "lab"], "problem_id": ["p1", "p2"], "level": [1, 5], "n": [8, 8], "c": [3, 0]}
    )
    identity = {"candidate": name, "base_model": "weak", "eval_protocol_id": "e1", "split": "fit"}
    frame = assemble_row(identity, {"pass_at_1": 0.1875, "held_out_loss_nats": 0.4}, problems, costs={"sft": 12.5})
    for column, value in changes.items():
        dtype = frame.schema.get(column) if value is None else None
        frame = frame.with_columns(pl.Series(column, [value], dtype))
    return frame


@pytest.fixture(scope="session")
def row():
    """Makes a valid table of one row, with some columns changed."""
    return _row


@pytest.fixture
def rows():
    """Three valid rows."""
    return pl.concat([_row(f"c{number}", pre_pass_at_1=number / 4) for number in range(3)])
