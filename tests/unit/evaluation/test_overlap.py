"""Overlap of measured with trained texts: found wherever it stands, counted, refused above the threshold."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.errors import InvalidDataError, RecipeError
from quagpredict.evaluation import Documents, HeldOut, OverlapCheck, Problem, overlap_check, overlaps
from quagpredict.evaluation.overlap import check_overlap

WORDS = st.lists(st.sampled_from([f"w{at}" for at in range(6)]), min_size=0, max_size=12)


def grams(words, size):
    if len(words) < size:
        return [tuple(words)] if words else []
    return [tuple(words[at : at + size]) for at in range(len(words) - size + 1)]


@settings(deadline=None)
@given(measured=st.lists(WORDS, max_size=6), trained=st.lists(WORDS, max_size=6), size=st.integers(1, 5))
def test_it_is_what_sets_of_n_grams_say(measured, trained, size):
    seen = {gram for words in trained for gram in grams(words, size)}
    hits = [[gram in seen for gram in grams(words, size)] for words in measured]
    texts = [" ".join(words) for words in measured]
    against = [", ".join(words).upper() for words in trained]
    (found,) = overlaps(
        [Documents("a", texts, [None] * len(texts))], Documents("b", against, [None] * len(against)), size
    )
    assert found.documents == len(measured)
    assert found.touched == sum(any(hit) for hit in hits)
    assert found.copied == sum(any(hit) and 2 * sum(hit) >= len(hit) for hit in hits)


def test_letters_of_any_script_are_words():
    (found,) = overlaps([Documents("a", ["Сколько яблок?"], ["3"])], Documents("b", ["сколько  ЯБЛОК"], ["3.0"]), 13)
    assert (found.copied, found.with_answer) == (1, 1)


@pytest.fixture
def math_suite(suite):
    question = "Ada has three baskets with twelve apples each and gives seven away; how many are left in the end?"
    problems = (Problem("math", "1", question, "29"), Problem("math", "2", "Find the smallest prime.", "2"))
    held_out = (HeldOut("h", "Compute one plus one.", "It is \\boxed{2}."),)
    return replace(suite, problems=problems, held_out=held_out)


@pytest.mark.parametrize("kind", ["messages", "columns", "csv"])
def test_a_leaked_problem_is_counted_and_refused(kind, math_suite, tmp_path):
    question = math_suite.problems[0].question
    path = tmp_path / ("train.csv" if kind == "csv" else "train.jsonl")
    if kind == "csv":
        path.write_text(f'problem,solution\n"Solve: {question}",So \\boxed{{29}}\n')
    elif kind == "messages":
        talk = [{"role": "user", "content": question}, {"role": "assistant", "content": "\\boxed{29}"}]
        path.write_text(json.dumps({"messages": talk}) + "\n")
    else:
        path.write_text(json.dumps({"problem": question, "answer": "work #### 29"}) + "\n")
    entry = {"path": path.name, "name": "sft"}
    found = check_overlap(math_suite, OverlapCheck([entry], max_share=0.5), tmp_path)
    assert found[0][:6] == ("math", "sft", 2, 1, 1, 1)
    assert found[1][:6] == ("held-out", "sft", 1, 0, 0, 0)
    assert found[2].against == "math"
    with pytest.raises(InvalidDataError, match=r"1 of 2 texts of 'math' \(50\.0%\) also stand in 'sft'"):
        check_overlap(math_suite, OverlapCheck([entry]), tmp_path)


def test_held_out_solutions_among_the_benchmarks_problems_are_refused(math_suite, tmp_path):
    (tmp_path / "train.jsonl").write_text('{"text": "nothing of the kind"}\n')
    leaked = replace(math_suite, held_out=(HeldOut("h", "find THE smallest prime", "2"),))
    with pytest.raises(InvalidDataError, match=r"texts of 'held-out'.*stand in 'math'"):
        check_overlap(leaked, OverlapCheck([{"path": "train.jsonl"}]), tmp_path)


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({}, "against"),
        ({"against": []}, "must be a list of sources"),
        ({"against": "train.jsonl"}, "must be a list of sources"),
        ({"against": [{"path": "a"}], "ngram": 0}, "ngram must be"),
        ({"against": [{"path": "a"}], "max_share": 2}, "max_share must lie"),
        ({"against": [{"path": "a"}], "share": 2}, "unknown key 'share'"),
    ],
)
def test_a_bad_check_is_refused(given_, message):
    with pytest.raises(RecipeError, match=message):
        overlap_check(given_, "config.yaml")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"path": "no.jsonl"}, r"no\.jsonl cannot be read"),
        ({"path": "train.jsonl", "text": "body"}, "no column 'body'; there are text"),
        ({"name": "x"}, "needs one of"),
        ({"path": "train.jsonl", "texts": "text"}, "unknown key 'texts'"),
    ],
)
def test_a_source_that_cannot_be_read_is_refused(entry, message, math_suite, tmp_path):
    (tmp_path / "train.jsonl").write_text('{"text": "a"}\n')
    with pytest.raises(RecipeError, match=message):
        check_overlap(math_suite, OverlapCheck([entry]), tmp_path)
