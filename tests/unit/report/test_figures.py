import pytest

from quagpredict.errors import UsageError
from quagpredict.report.figures import check_figure_path, curve_figure, sensitivity_figure
from quagpredict.testing.synthetic import synthetic_corpus
from quagpredict.validation.learning_curve import learning_curve
from quagpredict.validation.sensitivity import sensitivity

FRAME = synthetic_corpus(24, problems=8, samples_before=16, seed=2).frame


def test_figures_are_written(tmp_path) -> None:
    curve = learning_curve(FRAME, ["linear:both"], sizes=[2, 8], repeats=3)
    found = sensitivity(FRAME, draws=2)
    drawn = curve_figure(curve, tmp_path / "curve.svg").read_text()
    for text in ("finished RL runs", "linear:both", "chosen by max-min design", "8 candidates left out"):
        assert text in drawn
    assert curve_figure(curve, tmp_path / "curve.png").read_bytes()[1:4] == b"PNG"
    assert sensitivity_figure(found, tmp_path / "k.pdf").read_bytes()[:4] == b"%PDF"


def test_other_suffixes_are_refused() -> None:
    with pytest.raises(UsageError, match="must end in"):
        check_figure_path("curve.bmp")
