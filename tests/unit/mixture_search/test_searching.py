"""A search as one call: what is refused before any training, and how a worker is started. tests/end_to_end trains."""

from dataclasses import replace
from pathlib import Path

import pytest

from quagpredict.errors import IncomparableError, UsageError
from quagpredict.mixture_search import check_search, search, searching
from quagpredict.mixture_search.space_file import SearchPlan

SPACE = "collectors/searches/lab-mixture.yaml"


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        ({"surrogate": "lab"}, IncomparableError, "pass allow_mixed_protocols=True"),
        ({"surrogate": "nowhere"}, UsageError, "unknown surrogate 'nowhere'"),
        ({"workers": 0}, UsageError, "workers=0: expected a whole number of at least 1"),
        ({"storage": "study.db"}, UsageError, "expected a URL"),
        ({"warm_start_study": "none"}, UsageError, 'warm_start_study="none": no study'),
        ({"warm_start": "none.parquet"}, UsageError, "none.parquet: there is no such file"),
        ({"method": "best"}, UsageError, 'method="best": expected one of surrogate, '),
        ({"launcher": "nowhere"}, UsageError, 'launcher="nowhere": expected one of fork, '),
        ({"rounds": 3}, UsageError, "verify at least one trial a round"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_training(
    tmp_path: Path, asked: dict[str, str], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        search(SPACE, tmp_path / "out", **asked)
    assert not list(tmp_path.glob("out/recipes/*"))


def test_a_space_that_names_no_surrogate_has_none() -> None:
    plan = SearchPlan.from_yaml(SPACE)
    assert check_search(replace(plan, scoring=None)) is None
    given = check_search(replace(plan, scoring=None), "lab-pilot")
    assert given is not None
    assert given.corpus_digest == check_search(plan).corpus_digest


def test_a_worker_gets_the_search_and_says_in_its_log_what_is_wrong(tmp_path: Path) -> None:
    plan = SearchPlan.from_yaml(SPACE)
    asked = searching._Asked(plan, check_search(plan), None, tmp_path, "nothing", 2, "surrogate", 0, 0, 1, 2, "spawn")
    assert searching._started(asked, 1).wait() == 2
    assert (tmp_path / "worker-1.log").read_text().startswith("error: storage 'nothing': expected a URL")


def test_a_surrogate_that_reads_further_than_trials_are_sampled_is_refused_before_anything_is_trained() -> None:
    plan = SearchPlan.from_yaml(SPACE)
    assert plan.evaluation is not None
    few = replace(plan, evaluation=replace(plan.evaluation, samples_before=32))
    with pytest.raises(UsageError, match=r"reads Pass@k up to k = 64, and evaluation.samples is 32; .* at least 64"):
        check_search(few)
    # Who searches by SFT Pass@1 only notes what it predicts.
    assert check_search(few, method="sft-pass-at-1").name == "average"
