"""What the tables show is what the results hold."""

import io

import polars as pl
import pytest
from rich.console import Console

from quagpredict.ranking import rank
from quagpredict.ranking.flags import KINDS
from quagpredict.report.formats import UNKNOWN, heading, measured, number, percent
from quagpredict.report.tables import MARKS, print_ranking
from quagpredict.report.validation_tables import print_validation
from quagpredict.testing.synthetic import synthetic_corpus
from quagpredict.validation import ValidationReport, validate


@pytest.fixture(scope="module")
def report() -> ValidationReport:
    frame = synthetic_corpus(24, seed=1, nested=False).frame
    return validate(frame, ["linear:both", "average:pass_at_1+pass_at_64+loss:log-logit"], "random-halves", repeats=5)


@pytest.mark.parametrize("width", [60, 66, 70, 80, 100, 120])
def test_a_validation_keeps_its_numbers_and_names_whole_at_any_width(report: ValidationReport, width: int) -> None:
    """Where there is little room columns go; nothing is cut in the middle."""
    text = io.StringIO()
    print_validation(report, Console(file=text, width=width))
    first = text.getvalue().split("one rule alone")[0].splitlines()
    (row,) = [line for line in first if line.startswith("linear:both")]
    cells = row.removeprefix("linear:both").replace(" ± ", "±").split()
    assert cells
    assert all(cell.count("±") == 1 and not cell.endswith("±") for cell in cells), row
    digits = {len(part.partition(".")[2]) for cell in cells[:2] for part in cell.split("±")}
    assert digits == {2}


@pytest.mark.parametrize("width", [75, 80, 90, 120])
def test_what_rl_gave_keeps_names_and_headings_whole(width: int) -> None:
    names = [f"plain.broad-512x16-lr0.003-s{seed}" for seed in range(4)]
    scores = pl.Series([0.2, 0.3, 0.4, 0.5])
    table = pl.DataFrame(
        {"candidate": names, "pre_pass_at_1": scores, "pre_pass_at_64": scores + 0.3, "post_pass_at_1": scores}
    )
    text = io.StringIO()
    print_ranking(rank(table, "none"), Console(file=text, width=width))
    said = text.getvalue().partition("What RL really gave")[2]
    lines = said.splitlines()
    assert max(map(len, lines)) <= width
    assert all(any(name in line for name in names) for line in lines[-4:])  # nothing of a name on a line of its own
    heads = next(line for line in lines if line.startswith("chosen by")).split()
    assert heads[:3] == ["chosen", "by", "pairs"]
    assert heads[-2:] == ["actual", "regret"]
    assert ("Spearman" in heads) == (width > 80)


def test_every_flag_has_one_mark():
    assert list(MARKS) == list(KINDS)
    assert len(set(MARKS.values())) == len(MARKS)


def test_unknown_values_are_dashes():
    for text in (percent(None), number(float("nan")), measured("pre_pass_at_1", None), measured("x", float("nan"))):
        assert text == UNKNOWN


def test_units_decide_how_a_value_is_shown():
    assert measured("pre_pass_at_1", 0.4567) == "45.7"
    assert measured("pre_held_out_loss_nats", 0.41237) == "0.412"
    assert measured("pre_samples_per_problem", 128) == "128"
    assert heading("pre_pass_at_1_se") == "Pass@1 SE"


def test_a_run_that_ended_by_its_curve_is_known_and_leaves_no_budget():
    def shown(gate: float) -> str:
        text = io.StringIO()
        ranking = rank(who, None, curves=curves, rl_steps=400, gate=gate, budget=1)
        print_ranking(ranking, Console(file=text, width=120))
        return text.getvalue()

    who = pl.DataFrame({"candidate": ["a", "b"], "pre_pass_at_1": [0.2, 0.2], "pre_pass_at_16": [0.4, 0.5]})
    curves = pl.DataFrame({"candidate": ["a", "b"], "step": [400, 400], "pass_at_1": [0.4, 0.5]})
    said = shown(0.3)
    assert said.count("known") == 2
    assert "distance" not in said  # nothing to tell
    assert "Budget: every candidate that clears the gate has its result already" in said
    assert "Budget: none clears the gate" in shown(0.9)
