"""Names at the ends of lines never touch, and every figure has at most five colours."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.report.style import COLORS, MARKERS, MOST, SOFT, color_of, name_lines, styled


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=MOST))
@settings(deadline=None, max_examples=30)
def test_names_keep_their_distance_and_order(ends):
    with styled():
        from matplotlib.figure import Figure

        axis = Figure(figsize=(4.0, 3.0)).subplots()
        axis.set_ylim(0.0, 1.0)
        name_lines(axis, [(1.0, end, f"{place}", color_of(place)) for place, end in enumerate(ends)])
    points = [
        (72.0 / axis.figure.dpi * axis.transData.transform(text.xy)[1] + text.xyann[1], text.xy[1])
        for text in axis.texts
    ]
    placed = sorted(points)
    assert [value for _, value in placed] == pytest.approx(sorted(ends))
    assert all(above - below >= 9.5 for (below, _), (above, _) in pairwise(placed))


def test_five_colours_and_marks_then_grey():
    assert MOST == len(COLORS) == len(set(COLORS)) == len(set(MARKERS)) == 5
    assert [color_of(place) for place in range(7)] == [*COLORS, SOFT, SOFT]
