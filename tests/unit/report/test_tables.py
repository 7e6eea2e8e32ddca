"""What the tables show is what the results hold."""

from quagpredict.ranking.flags import KINDS
from quagpredict.report.formats import UNKNOWN, heading, measured, number, percent
from quagpredict.report.tables import MARKS


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
    assert heading("pre_pass_at_1_se") == "pass at 1 se"
