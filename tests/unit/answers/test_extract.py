import pytest

from quagpredict.answers import DEFAULT, GradingPolicy
from quagpredict.answers.extract import extract

LAB = GradingPolicy(extraction="last_digits", digits=3)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so \boxed{5}", "5"),
        (r"\boxed{1}, no: \boxed{2}.", "2"),
        (r"\boxed{\frac{1}{\sqrt{2}}}", r"\frac{1}{\sqrt{2}}"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed {7}", "7"),
        (r"\fbox{7}", "7"),
        (r"thus $\boxed 7$.", "7"),
        (r"\boxed{3} and \boxed{}", "3"),
        (r"\boxed{3} and \boxed{4", "3"),
        (r"\boxed{{{", None),
        (r"\boxed", None),
        (r"\boxed{1}}}}", "1"),
        (r"\boxed{3} and \boxed{4}", "3, 4"),
        (r"$x=\boxed{3}$ or $x=\boxed{4}$", "3, 4"),
        (r"\boxed{3} is too small: \boxed{4}", "4"),
        (r"$x = -\boxed{5}$", "-5"),
        (r"$x = -\boxed{a+b}$", "-(a+b)"),
        (r"- \boxed{5}", "5"),
        (r"7-\boxed{5}", "5"),
        (r"$\boxed{50}\%$", r"50\%"),
    ],
)
def test_the_last_complete_box_counts(text, answer):
    assert extract(text, GradingPolicy(extraction="boxed")) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("#### 1,234", "1,234"),
        ("**Answer:** 5", "5"),
        (r"**Answer**: \(5\)", "5"),
        ("The answer is 4. Wait, the answer is 5.", "5"),
        ("the answer is 3.5.", "3.5"),
        ("The answer is 5 because 2 + 3 = 5", "5"),
        ("The final answer is: $x = 5$. I hope it is correct.", "x = 5"),
        (r"the answer is $\$5$", r"\$5"),
        ("Answer:\n\n$$5$$", "5"),
        ("The answers are 1 and 2.", "1 and 2"),
        ("The answers are $1$ and $2$.", "1, 2"),
        ("The answer is $1$ or maybe $2$.", "1 or maybe 2"),
        ("The answer is\n$$\nx = 7\n$$\nDone.", "x = 7"),
        ("**Final Answer**\n\n\\[\n7\n\\]", "7"),
        ("### Final Answer\n42", "42"),
        ("The answer is 42.\n\n#### Verification\nWe check it.", "42"),
        ("#### 42\nThat is all.", "42"),
        ("The answer is $5$ dollars.", "5 dollars"),
        (r"The answer is \boxed{6}.", "6"),
        ("I give up.", None),
        ("The answer is", None),
    ],
)
def test_the_last_statement_counts(text, answer):
    assert extract(text, GradingPolicy(extraction="stated")) == answer


def test_auto_prefers_the_box_to_the_statement():
    assert extract(r"\boxed{1}. The answer is 2.", DEFAULT) == "1"
    assert extract("The answer is 2.", DEFAULT) == "2"
    assert extract("The answer is 2.", GradingPolicy(extraction="boxed")) is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"<think>\boxed{1}</think> \boxed{2}", "2"),
        (r"\boxed{1}</think> \boxed{2}", "2"),
        (r"<think>\boxed{1}</think> done", None),
        (r"<think>\boxed{1}", None),
        (r"<think>a</think>\boxed{2}<think>b", None),
        (r"<think>a</think>b<think>c</think>\boxed{3}", "3"),
    ],
)
def test_only_text_after_the_thought_is_read(text, answer):
    assert extract(text, DEFAULT) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<answer>5</answer>", "5"),
        ("The answer is 4. <answer>5</answer>", "5"),
        (r"\boxed{4} <answer>so \boxed{5}</answer>", "5"),
        ("<answer>4</answer> or <answer>The answer is 5.</answer>", "5"),
        ("<answer>5", None),
        (r"<answer></answer> \boxed{5}", None),
    ],
)
def test_answer_marks_hold_the_answer(text, answer):
    assert extract(text, DEFAULT) == answer


def test_answer_marks_are_an_option():
    text = "The answer is 4. [A]5[/A] <answer>6</answer>"
    assert extract(text, GradingPolicy(answer_start="[A]", answer_end="[/A]")) == "5"
    assert extract(text, GradingPolicy(answer_start="", answer_end="")) == "4"
    assert extract(r"<answer>5</answer> \boxed{6}", GradingPolicy(extraction="boxed")) == "6"


def test_thought_marks_are_an_option():
    text = r"[THINK]\boxed{1}[/THINK]\boxed{2}"
    assert extract(text, GradingPolicy(thought_start="[THINK]", thought_end="[/THINK]")) == "2"
    assert extract(r"<think>\boxed{1}", GradingPolicy(thought_start="", thought_end="")) == "1"


@pytest.mark.parametrize(
    ("text", "answer"),
    [("a+2470", "470"), ("=470", "470"), ("a+47", None), ("a+2470x", None), ("", None), ("٤٧٠", None), ("470\n", None)],
)
def test_last_digits(text, answer):
    assert extract(text, LAB) == answer


def test_last_digits_without_a_count_takes_the_whole_run():
    assert extract("b*3479", GradingPolicy(extraction="last_digits")) == "3479"
