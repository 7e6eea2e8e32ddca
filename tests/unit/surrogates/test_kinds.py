import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from quagpredict.errors import UsageError
from quagpredict.ranking import rank
from quagpredict.surrogates import SURROGATES, fit, load_surrogate
from quagpredict.surrogates.auto import chosen
from quagpredict.surrogates.kinds import Asked, Spec, asked, is_spec, parse_spec
from quagpredict.testing.synthetic import synthetic_corpus
from quagpredict.validation.baselines import model_of

FRAME = synthetic_corpus(30, seed=1, nested=False).frame


@pytest.mark.parametrize("kind", SURROGATES)
@pytest.mark.parametrize("features", ["", "both", "loss+pass_at_8", "a:column+b"])
@pytest.mark.parametrize("transforms", [None, "identity", "log-logit"])
def test_a_spec_reads_as_it_was_written(kind: str, features: str, transforms: str | None) -> None:
    text = kind + (f":{features}" if features or transforms else "") + (f":{transforms}" if transforms else "")
    assert parse_spec(text) == Spec(kind, features, transforms)  # type: ignore[arg-type]
    assert is_spec(text)


def test_the_name_of_earlier_versions_is_read() -> None:
    assert parse_spec("linear:both:in-fold") == Spec("linear", "both", "log-logit")
    assert model_of("linear:both:in-fold", FRAME) == model_of("linear:both:log-logit", FRAME)


@pytest.mark.parametrize("text", ["cubic", "cubic:both", "", ":both", "linear:"])
def test_what_is_no_spec_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="surrogate '"):
        parse_spec(text)


def test_nothing_is_named_twice() -> None:
    assert asked("ridge", "loss", "log-logit") == Asked("ridge", "loss", "log-logit")
    assert asked("linear") == Asked("linear", None, None)
    with pytest.raises(UsageError, match=r"'ridge:both' names its features \('both'\) and so does the call"):
        asked("ridge:both", "loss")
    with pytest.raises(UsageError, match="no feature was named"):
        fit(FRAME, "ridge", [])
    with pytest.raises(UsageError, match="names its transforms"):
        fit(FRAME, "ridge:both:log-logit", transforms="identity")


def test_one_spec_means_the_same_to_fit_validate_and_rank() -> None:
    spec = "ridge:loss+pass_at_8:log-logit"
    expected = fit(FRAME, "ridge", "loss+pass_at_8", transforms="log-logit")
    fitted, model = fit(FRAME, spec), model_of(spec, FRAME)
    assert (fitted.name, fitted.features, fitted.corpus_digest) == ("ridge", model.features, expected.corpus_digest)
    assert model.transforms == "log-logit"
    np.testing.assert_array_equal(fitted.predict_frame(FRAME).mean, expected.predict_frame(FRAME).mean)
    new = FRAME.tail(10).drop("post_pass_at_1")
    alone = fit(FRAME.head(20), spec)

    ranking = rank(pl.concat([FRAME.head(20), new], how="diagonal"), spec, condition=False)
    rows = {row["candidate"]: row["prediction"] for row in ranking.frame.iter_rows(named=True)}
    np.testing.assert_allclose([rows[name] for name in new["candidate"]], alone.predict_frame(new).mean, rtol=1e-9)


def test_a_folder_is_no_spec(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such folder"):
        rank(FRAME, str(tmp_path / "ridge"))


def test_what_auto_chose_in_an_earlier_version_is_known(tmp_path: Path) -> None:
    stored = json.loads((Path(__file__).parent / "stored" / "schema-3.json").read_text())["auto"]["surrogate"]
    assert stored["choice"].endswith(":in-fold")
    (tmp_path / "surrogate.json").write_text(json.dumps(stored))
    assert chosen(load_surrogate(tmp_path), "identity") == ("gaussian_process", "log-logit")
