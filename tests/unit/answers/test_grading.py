import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.answers import VERDICTS, GradingPolicy, grade, grade_many, readable_gold
from quagpredict.errors import InvalidDataError, RecipeError

LAB = GradingPolicy(extraction="last_digits", digits=3)
MEGA = 1_000_000


def test_verdicts():
    assert grade(r"\boxed{3}", "3").verdict == "correct"
    assert grade(r"\boxed{4}", "3").verdict == "wrong"
    assert grade("hm", "3") == ("no_answer", None)
    assert grade(r"\boxed{3}", "3", finish_reason="length") == ("truncated", None)


def test_a_cut_response_is_graded_only_if_the_policy_says_so_and_never_inside_its_thought():
    policy = GradingPolicy(grade_truncated=True)
    assert grade(r"\boxed{3}, so", "3", finish_reason="length", policy=policy).verdict == "correct"
    assert grade("so", "3", finish_reason="length", policy=policy).verdict == "truncated"
    assert grade(r"<think>\boxed{3}", "3", finish_reason="length", policy=policy).verdict == "truncated"
    assert grade(r"<think>\boxed{3}", "3", finish_reason="stop").verdict == "no_answer"


def test_equal_answers_have_equal_texts():
    texts = [r"\boxed{0.5}", r"\boxed{\frac12}", r"The answer is 1/2.", r"\boxed{ .50 }"]
    assert {grade(text, "3").answer for text in texts} == {"1/2"}


def test_lab_answers_are_the_last_digits():
    graded = grade_many(["a-8658b*3479", "=479", "=9", "a-8658b*3470"], ["479"] * 4, policy=LAB)
    assert [item.verdict for item in graded] == ["correct", "correct", "no_answer", "wrong"]
    assert graded[0].answer == "479"
    assert grade("=007", "7", policy=GradingPolicy(extraction="last_digits")).verdict == "correct"


def test_many_are_graded_as_each_alone():
    rng = random.Random(0)
    responses = [rng.choice([r"\boxed{%d}", "The answer is %d.", "%d"]) % rng.randrange(4) for _ in range(200)]
    golds = [str(rng.randrange(4)) for _ in responses]
    reasons = [rng.choice(["stop", "length"]) for _ in responses]
    together = grade_many(responses, golds, finish_reasons=reasons)
    assert together == [grade(r, g, finish_reason=f) for r, g, f in zip(responses, golds, reasons, strict=True)]
    assert grade_many([], []) == []


def test_each_distinct_pair_is_compared_once(monkeypatch):
    seen = []

    def counted(answer, gold, policy):
        seen.append((answer, gold))
        return True

    monkeypatch.setattr("quagpredict.answers.grading._decided", counted)
    grade_many([r"so \boxed{1.0}", r"thus \boxed{1.0}", r"\boxed{2}"] * 50, ["1", "1", "1"] * 50)
    assert sorted(seen) == [("1.0", "1"), ("2", "1")]


@pytest.mark.parametrize(
    ("gold", "policy", "message"),
    [
        ("", {}, "problem p7 is empty"),
        ("$ $", {}, "problem p7 is empty"),
        ("{1", {}, "braces that do not close"),
        ("1\\", {}, "braces that do not close"),
        ("9^{9^{9^9}}", {}, "cannot be read: it has a tower"),
        ("1" * 5000, {}, "5000 characters"),
        (27, {}, "must be text, got int 27"),
        ("12", {"extraction": "last_digits", "digits": 3}, "must be 3 digits"),
        ("-12", {"extraction": "last_digits"}, "must be digits"),
    ],
)
def test_an_unreadable_gold_is_refused_by_name(gold, policy, message):
    with pytest.raises(InvalidDataError, match=message) as caught:
        readable_gold(gold, GradingPolicy(**policy), problem="p7")
    assert "p7" in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("gold", "message"),
    [
        ("def f(n):\n    return n + 1", "is code, which is not graded here"),
        ("```python\nprint(5)\n```", "is code"),
        (
            "The series converges. To see this, compare it with the geometric series. Hence the sum is finite.",
            "text of 1[0-9] words",
        ),
        (
            "First we note that the sum of the angles is a half turn\nand therefore the third angle must be 60",
            "give the final answer",
        ),
    ],
)
def test_what_is_no_answer_is_refused_as_a_gold(gold, message):
    with pytest.raises(InvalidDataError, match=message):
        readable_gold(gold)


def test_a_gold_that_is_a_whole_solution_is_reduced_to_its_answer():
    solution = "Adding both gives $2x = 10$ and so on for many words. " * 40
    for gold in (solution + r"Hence $x = \boxed{5}$.", solution + "\n#### 5"):
        assert readable_gold(gold) == "5"
        assert grade(r"\boxed{5}", gold).verdict == "correct"
        assert grade(r"\boxed{10}", gold).verdict == "wrong"
        assert grade(f"\\boxed{{{gold}}}", gold).verdict == "correct"


def test_an_option_is_graded_only_where_a_letter_is_named():
    assert grade(r"\boxed{36}", "E").verdict == "error"
    assert grade("The answer is the fifth.", "(E)").verdict == "error"
    assert [grade(f"The answer is {letter}.", "E").verdict for letter in ("E", "(E)", "D", "D or E")] == [
        *("correct", "correct", "wrong", "wrong")
    ]
    assert grade(r"\boxed{36}", r"\textbf{(E)}\ 36").verdict == "correct"


def test_grading_against_an_unreadable_gold_is_refused():
    with pytest.raises(InvalidDataError, match="gold answer is empty"):
        grade(r"\boxed{1}", "")
    with pytest.raises(InvalidDataError, match="2 responses, 1 golds"):
        grade_many(["a", "b"], ["1"])


@pytest.mark.parametrize(
    "gold",
    [
        "42",
        r"\frac{3}{7}",
        r"2\sqrt{3}+1",
        r"\begin{pmatrix} -1 & 0 \\ 0 & -1 \end{pmatrix}",
        r"(-\infty, 2] \cup [3, \infty)",
        r"\{1, 2, 3\}",
        r"90^\circ",
        r"12\%",
        r"3 \pm 2i",
        r"\text{(C)}",
        r"x^5 - x^4 + 1",
        r"$f(n)=n$",
        "1,-2",
        r"5.4 \text{ cents}",
        r"\$32,\!348",
        "np.arcsin(10/13)",
        r"\binom{2n}{n}",
        "6:30",
        "2.19e6",
    ],
)
def test_a_gold_in_a_box_is_correct(gold):
    readable_gold(gold)
    assert grade(f"Therefore \\boxed{{{gold}}}.", gold).verdict == "correct"


@pytest.mark.parametrize(
    "response",
    [
        "\\boxed{" + "1" * MEGA + "}",
        "\\boxed{" * (MEGA // 7),
        "\\boxed{" + "{" * (MEGA // 10) + "}" * (MEGA // 10) + "}",
        "\\boxed{" + "\\frac{" * 300 + "1" + "}" * 300 + "}",
        "the answer is " * (MEGA // 14),
        "answer is " + "$" * MEGA,
        "\\boxed" + " " * MEGA,
        "<think>" * (MEGA // 7),
        "\\boxed{9^{9^{9^{9}}}}",
        "\\boxed{9^9^9^9}",
        "\\boxed{1e999999999}",
        "\\boxed{" + "(" * 400 + ")" * 400 + "}",
        "\\boxed{" + "1," * 480 + "}",
        "\\boxed{" + "½" * 900 + "}",
        "\\boxed{" + "\\" * 999 + "}",
        "\\boxed{" + "(2,3)," * 150 + "}",
        "\\boxed{__import__('os').system('exit')}",
        "\\boxed{}}}{{{",
        "\\boxed{\ud800}",
        "\x00" * 1000,
        "",
    ],
)
@pytest.mark.parametrize("gold", ["5", "(1,2,3)"])
def test_hostile_text_gets_a_verdict_and_never_correct(response, gold):
    graded = grade(response, gold)
    assert graded.verdict in ("wrong", "no_answer")
    assert graded.answer is None or len(graded.answer) <= 120


def test_control_characters_do_not_hide_an_answer():
    assert grade("\\boxed{\x005\x00}", "5").verdict == "correct"


alphabet = "\\{}()[]$^_,.;:%-+/=!| 0123456789xeifracsqtboxdnw½²√−٣π\x00\n"


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=alphabet, max_size=60), st.text(alphabet=alphabet, min_size=1, max_size=30))
def test_any_text_gets_a_verdict_and_any_readable_gold_matches_itself(response, gold):
    try:
        readable_gold(gold)
    except InvalidDataError:
        return
    assert grade(response, gold).verdict in VERDICTS
    assert grade(f"\\boxed{{{response}}}", gold).verdict in VERDICTS
    assert grade(f"\\boxed{{{gold}}}", gold).verdict == "correct"


def test_the_policy_is_part_of_the_protocol():
    policy = GradingPolicy()
    assert policy.as_dict()["grader_version"] >= 1
    assert policy.digest() == GradingPolicy().digest()
    settings_that_matter = [{"percent": "value"}, {"symbolic": True}, {"grade_truncated": True}, {"time_limit_s": 1.0}]
    assert len({GradingPolicy(**given).digest() for given in settings_that_matter} | {policy.digest()}) == 5


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"extraction": "last"}, "extraction must be one of auto, boxed"),
        ({"percent": "maybe"}, "percent must be one of"),
        ({"symbolic": "yes"}, "symbolic must be true or false"),
        ({"digits": 3}, "digits goes with extraction: last_digits"),
        ({"digits": 0, "extraction": "last_digits"}, "digits must lie between 1"),
        ({"time_limit_s": 0}, "time_limit_s must lie between"),
        ({"relative_tolerance": "1%"}, "relative_tolerance must be a number"),
        ({"max_answer_length": 2.5}, "max_answer_length must be a whole number"),
        ({"thought_end": None}, "thought_end must be text"),
    ],
)
def test_bad_policies_are_refused(given, message):
    with pytest.raises(RecipeError, match=message):
        GradingPolicy(**given)
