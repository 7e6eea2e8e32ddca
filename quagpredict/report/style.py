"""One style for every figure: five colours that are told apart without red and green, no frames, names at the lines."""

from collections.abc import Sequence
from typing import Any

from quagpredict.optional import require

#: Colours of series, in the order in which they are taken; the page has the same.
COLORS = ("#1f6fb4", "#c8500a", "#0d8560", "#9b4a8b", "#8a6800")
#: Marks beside the colours, for who sees no colour.
MARKERS = ("o", "s", "^", "D", "v")
INK, SOFT, LINE, BAND = "#1a1e24", "#59626e", "#e2e5ea", "#d3d8df"
#: Series that a figure shows at most; what is beyond is grey or left to a table.
MOST = len(COLORS)

_SETTINGS = {
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.edgecolor": BAND,
    "axes.labelcolor": SOFT,
    "axes.titlecolor": INK,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "xtick.color": BAND,
    "xtick.labelcolor": SOFT,
    "ytick.color": BAND,
    "ytick.labelcolor": SOFT,
    "ytick.major.size": 0.0,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "svg.fonttype": "none",
    "svg.hashsalt": "quagpredict",
}


def styled() -> Any:
    """Return a context in which figures are made in the style.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed (extra ``plot``).
    """
    return require("matplotlib").rc_context(_SETTINGS)


def color_of(number: int) -> str:
    """Return the colour of the series at a place; grey beyond the fifth.

    Examples
    --------
    >>> color_of(0), color_of(7)
    ('#1f6fb4', '#59626e')
    """
    return COLORS[number] if number < MOST else SOFT


def name_lines(axis: Any, ends: Sequence[tuple[float, float, str, str]], size: float = 8.0) -> None:
    """Write the names of lines beside their ends, moved apart where they would touch.

    Parameters
    ----------
    axis : matplotlib axes
        Its limits and its size must be final.
    ends : sequence of (x, y, name, colour)
        Where each line ends, in the axis' units.
    size : float
        Of the letters, in points.

    Examples
    --------
    >>> with styled():
    ...     from matplotlib.figure import Figure
    ...     axis = Figure().subplots()
    ...     name_lines(axis, [(1.0, 0.50, "a", "C0"), (1.0, 0.51, "b", "C1")])
    >>> a, b = (text.xyann[1] for text in axis.texts)
    >>> b - a > 5.0
    True
    """
    points_per_unit = 72.0 / axis.figure.dpi
    order = sorted(range(len(ends)), key=lambda row: ends[row][1])
    at = [points_per_unit * float(axis.transData.transform((ends[row][0], ends[row][1]))[1]) for row in order]
    wanted = list(at)
    gap = 1.25 * size
    for _ in range(100):
        for row in range(1, len(at)):
            lacking = gap - (at[row] - at[row - 1])
            if lacking > 0:
                at[row] += lacking / 2
                at[row - 1] -= lacking / 2
    for row, height, end_height in zip(order, at, wanted, strict=True):
        x, y, name, color = ends[row]
        axis.annotate(
            name,
            (x, y),
            (6.0, height - end_height),
            textcoords="offset points",
            color=color,
            fontsize=size,
            va="center",
            annotation_clip=False,
        )
