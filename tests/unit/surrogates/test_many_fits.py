from typing import Any

import numpy as np
import pytest

from quagpredict.errors import CorpusError
from quagpredict.surrogates import prepare
from quagpredict.surrogates.fitting import fit_frame
from quagpredict.surrogates.kind import FitTask
from quagpredict.surrogates.kinds import kind_of
from quagpredict.surrogates.many_fits import ManyFits
from quagpredict.testing.worlds import World, draw

FRAME = prepare(draw(World("linear", problems=20), 30, seed=1).frame)
Y = FRAME["post_pass_at_1"].to_numpy()
ROWS = np.arange(0, 30, 2)


@pytest.mark.parametrize("transforms", ["identity", "log-logit", {"pre_held_out_loss_nats": "log"}])
@pytest.mark.parametrize("kind", ["linear", "ridge", "gaussian_process", "lightgbm", "mixed", "effective_k", "auto"])
def test_a_slice_is_fitted_as_it_would_be_alone(kind: str, transforms: Any) -> None:
    if kind == "effective_k" and not isinstance(transforms, str):
        transforms = "identity"  # it reads columns of its own, which the mapping does not name
    fits = ManyFits(FitTask(kind_of(kind), FRAME, Y, transforms=transforms))
    fitted, alone = fits.fit(ROWS), fit_frame(kind, FRAME[ROWS], Y[ROWS], transforms=transforms)
    assert (fitted.features, fitted.feature_transforms) == (alone.features, alone.feature_transforms)
    assert (fitted.target_transform, fitted.notes) == (alone.target_transform, alone.notes)
    X = fits.design(fitted)
    for ours, theirs in zip(fitted.predict(X), alone.predict(alone.design(FRAME)), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_too_few_rows_are_refused_as_ever() -> None:
    fits = ManyFits(FitTask(kind_of("linear"), FRAME, Y))
    with pytest.raises(CorpusError, match="3 finished candidates are too few for 2 features"):
        fits.fit(np.arange(3))
