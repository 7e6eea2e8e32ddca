"""A journal whose last line is torn, and two searches that share one storage."""

import json
import threading

import pytest
from optuna.trial import TrialState

from quagpredict.mixture_search.storage import open_storage
from quagpredict.mixture_search.study import MixtureSearch
from quagpredict.testing.search_worlds import synthetic_world


def search_at(url, **options):
    return MixtureSearch(synthetic_world(3).space, method="sft-pass-at-1", storage=url, **options)


def run(search, trials):
    search.run(lambda recipe, report: {"pass_at_1": recipe.shares["s0"]}, trials)


@pytest.mark.parametrize("torn", [b"\0", b'{"op_code":5,"work', b"x" * 200_000, b'{"op_code":3}'], ids=len)
def test_half_a_line_is_cut_off_before_the_next_write(torn, tmp_path):
    url, journal = f"journal:///{tmp_path / 'study.log'}", tmp_path / "study.log"
    run(search_at(url, name="one"), 3)
    whole = journal.read_bytes()
    journal.write_bytes(whole + torn)
    reader = search_at(url, name="one")  # to read is no reason to write
    assert len(reader.study.trials) == 3
    run(reader, 5)
    assert journal.read_bytes().startswith(whole)
    assert all("op_code" in json.loads(line) for line in journal.read_text().splitlines())
    assert [trial.state for trial in search_at(url, name="one").study.trials] == [TrialState.COMPLETE] * 5


def test_every_place_at_which_a_journal_can_be_cut(tmp_path):
    url, journal = f"journal:///{tmp_path / 'study.log'}", tmp_path / "study.log"
    run(search_at(url, name="one"), 1)
    whole = journal.read_bytes()
    for cut in range(0, len(whole), 211):
        journal.write_bytes(whole[:cut])
        before = len(search_at(url, name="one").study.trials)
        search_at(url, name="one").suggest()
        assert len(search_at(url, name="one").study.trials) == before + 1


@pytest.mark.parametrize("scheme", ["sqlite", "journal"])
def test_two_searches_share_a_storage_and_each_has_its_own_trials(scheme, tmp_path):
    url = f"{scheme}:///{tmp_path / 'study'}"
    searches = [search_at(url, name=name, seed=seed) for name, seed in (("one", 1), ("two", 2))]
    threads = [threading.Thread(target=run, args=(search, 6)) for search in searches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = [search_at(None, seed=seed) for seed in (1, 2)]
    for search, expected in zip(searches, alone, strict=True):
        run(expected, 6)
        assert [trial.params for trial in search.study.trials] == [trial.params for trial in expected.study.trials]
        assert [trial.values for trial in search.study.trials] == [trial.values for trial in expected.study.trials]
    assert len(open_storage(url).get_all_studies()) == 2
