"""The page holds what the ranking holds, asks for nothing, and no name breaks it."""

import hashlib
import json
import re
from html.parser import HTMLParser
from importlib.resources import files

import polars as pl
import pytest

from quagpredict.corpus import write_corpus
from quagpredict.errors import UsageError
from quagpredict.racing import race
from quagpredict.ranking import rank
from quagpredict.report.decision import decide
from quagpredict.report.page_data import measured_of
from quagpredict.report.page_figures import coverage
from quagpredict.report.reporting import write_report
from quagpredict.shipped import shipped_path
from quagpredict.surrogates import fit
from quagpredict.testing.synthetic import synthetic_corpus

RUNS = synthetic_corpus(40, problems=12, samples_before=64, seed=3).frame
OPEN = RUNS.drop([name for name in RUNS.columns if name.startswith("post_") or name in ("rl_seed", "rl_recipe_id")])
# What these files are upstream, so that no one edits them here.
VENDORED = {
    "d3.min.js": "f2094bbf6141b359722c4fe454eb6c4b0f0e42cc10cc7af921fc158fceb86539",
    "plot.umd.min.js": "4358086467740777dd788d6b27a95cebdbaefdd50c730a3060117073bd7134cb",
}


class Reader(HTMLParser):
    """Reads a page as a browser does: what lies in it, what it would fetch, its texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fetched, self.open, self.texts, self.rows, self.data = [], [], [], 0, ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        if tag not in ("meta", "wbr", "input", "br", "link", "img"):
            self.open.append(tag)
        self.fetched += [value for name, value in attributes if name in ("src", "href", "srcset", "action")]
        self.rows += tag == "tr" and ("class", "row") in attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] == ["script"] and data.startswith('{"candidates"'):
            self.data = json.loads(data)
        elif self.open[-1:] != ["script"] and self.open[-1:] != ["style"]:
            self.texts.append(data)

    @property
    def text(self):
        return " ".join("".join(self.texts).split())


@pytest.fixture(scope="module")
def surrogate():
    return fit(RUNS.with_columns("run-" + pl.col("candidate")), "ridge", "both")


@pytest.fixture
def written(tmp_path):
    def write(ranking, **settings):
        path = write_report(ranking, tmp_path / "page.html", **settings)
        return Reader(path.read_text(encoding="utf-8"))

    return write


def test_the_page_holds_every_number_of_the_ranking(surrogate, written):
    ranking = rank(OPEN, surrogate, truth=RUNS, gate=0.5, next_run=True)
    page = written(ranking)
    assert page.open == []
    assert page.fetched == []
    assert page.rows == ranking.frame.height == len(page.data["candidates"])
    for value, row in zip(page.data["candidates"], ranking.frame.iter_rows(named=True), strict=True):
        assert (value["name"], value["rank"]) == (row["candidate"], row["rank"])
        keys = {"prediction": "predicted", "low": "low", "high": "high", "actual": "actual", "p_best": "p_best"}
        for column, key in (keys | {"expected_regret": "regret", "p_clear": "p_clear"}).items():
            assert value[key] == pytest.approx(100 * row[column], rel=1e-5, abs=1e-4)
    held, count = coverage(ranking)
    inside = [row["low"] <= row["actual"] <= row["high"] for row in ranking.frame.iter_rows(named=True)]
    assert (held, count) == (sum(inside), len(inside))
    assert f"{held} of {count} results" in page.text


def test_curves_are_those_of_the_counts_with_intervals(surrogate, written):
    page = written(rank(OPEN, surrogate))
    own = OPEN.row(by_predicate=pl.col("candidate") == page.data["candidates"][0]["name"], named=True)
    for k, mean, low, high in page.data["candidates"][0]["curve"]:
        assert mean == pytest.approx(100 * own[f"pre_pass_at_{k}"], rel=1e-5)
        assert low <= mean <= high
    flat = measured_of(rank(OPEN, surrogate), OPEN.drop("pre_problems"))
    assert all(low is None for curve in flat.curves.values() for _, _, low, _ in curve)
    assert measured_of(rank(OPEN, surrogate)).files == (("table", ""),)


def test_no_name_breaks_the_page_or_leaves_its_text(written):
    names = ["</script><script>alert(1)</script>", "a\x1b[31m&amp;<b>", "-->'\"", "naïve 模型", "\x02x\x03"]
    table = pl.DataFrame(
        {"candidate": names, "base_model": names, "pre_pass_at_1": [0.5, 0.4, 0.3, 0.2, 0.1], "pre_pass_at_64": 0.6}
    )
    page = written(rank(table, None), title="<i>", command="echo '</script>'")
    assert page.open == []
    assert page.rows == 5
    assert {value["name"] for value in page.data["candidates"]} == {re.sub(r"[\x00-\x1f]", "?", name) for name in names}
    assert "</script><script>alert(1)</script>" in page.text.replace(" ", "")
    assert "\x1b" not in page.text


def test_files_are_told_with_the_digest_of_their_bytes(written, tmp_path):
    path = tmp_path / "mine.parquet"
    write_corpus(OPEN.head(6), path)
    page = written(rank(path, None), command="quagpredict report mine.parquet", gpu_hours_per_run=20)
    assert hashlib.sha256(path.read_bytes()).hexdigest() in page.text
    assert "quagpredict report mine.parquet" in page.text
    assert OPEN["eval_protocol_id"][0] in page.text
    assert "RL for the one taken20 GPU-hours, saves 100 against all 6" in page.text
    of_a_frame = written(rank(OPEN.head(6), None), files=path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() in of_a_frame.text


def test_results_of_its_own_are_no_test_of_the_intervals(written):
    some = RUNS.with_columns(post_pass_at_1=pl.when(pl.int_range(pl.len()) < 30).then("post_pass_at_1"))
    ranking = rank(some, "ridge:both")
    assert coverage(ranking) is None
    page = written(ranking)
    assert page.text.count("has its result") == 30
    assert "Predicted against actual" not in page.text


def test_the_race_is_shown_as_it_stands(written):
    who = pl.DataFrame(
        {"candidate": ["a", "b", "c"], "pre_pass_at_1": [0.2, 0.3, 0.1], "pre_pass_at_16": [0.5, 0.5, 0.2]}
    )
    points = pl.DataFrame(
        {"candidate": ["a", "a", "b"], "step": [0, 50, 50], "pass_at_1": [0.2, 0.31, 0.45]},
    )
    columns = ["candidate", "base_model", "rl_seed", "post_curve"]
    learnt = pl.read_parquet(shipped_path("datasets/lab-2/corpus.parquet"), columns=columns)
    found = race(who, points, rl_steps=200, budget=400, learn_from=[learnt])
    page = written(rank(who, None), race=found)
    runs = {run["name"]: run for run in page.data["race"]["runs"]}
    assert runs["a"]["curve"] == [[0, 20.0], [50, 31.0]]
    told = dict(found.frame.select("candidate", "action").iter_rows())
    assert {name: run["action"] for name, run in runs.items()}.items() <= told.items()
    assert "The race" in page.text
    # The race decides, and no other candidate is named first.
    (start,) = found.frame.filter(action="start").select("candidate", "until").rows()
    assert page.text.startswith(f"Start {start[0]}, as far as step {start[1]}; stop a.")
    assert [value["name"] for value in page.data["candidates"] if value["taken"]] == [start[0]]
    going = found.frame.filter(pl.col("action").is_in(["start", "go on", "wait", "done"]))
    assert all(f"{name}: {action}" in page.text for name, action in going.select("candidate", "action").iter_rows())


def test_a_page_with_curves_has_one_decision_also_where_nothing_was_predicted(written, tmp_path):
    # Of these a surrogate would take the first; the curves say otherwise.
    who = pl.DataFrame({"candidate": ["a", "b"], "pre_pass_at_64": [0.8, 0.5], "pre_held_out_loss_nats": [0.4, 0.6]})
    along = pl.DataFrame({"candidate": ["a", "b"], "step": [100, 100], "pass_at_1": [0.2, 0.6]})
    assert decide(rank(who, None)).sentence.startswith("Take \x02a\x03 through RL first")
    ranking = rank(who, None, curves=along, rl_steps=400)
    page = written(ranking, gpu_hours_per_run=8)
    assert page.text.startswith("Go on with b to step 400; stop a.")
    assert "Stopping here: take b" in page.text
    assert "RL now6 GPU-hours, saves 6 against all to the end" in page.text
    assert "predicted from Pass@1 and Pass@k before and along RL alone" in page.text
    text = write_report(ranking, tmp_path / "page.md").read_text(encoding="utf-8")
    assert text.startswith("**Go on with `b` to step 400; stop `a`.**")
    assert write_report(ranking, tmp_path / "page.png").stat().st_size > 5000


def test_what_is_refused(tmp_path):
    ranking = rank(OPEN.head(3), None)
    with pytest.raises(UsageError, match=r"must end in \.html, \.md, \.png"):
        write_report(ranking, tmp_path / "page.pdf")
    with pytest.raises(UsageError, match="expected a number above 0"):
        write_report(ranking, tmp_path / "page.html", gpu_hours_per_run=-1.0)
    (tmp_path / "taken").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        write_report(ranking, tmp_path / "taken" / "page.html")


def test_the_libraries_are_what_was_published():
    assets = files("quagpredict.report") / "assets"
    found = {name: hashlib.sha256((assets / name).read_bytes()).hexdigest() for name in VENDORED}
    assert found == VENDORED
    assert {file.name for file in assets.iterdir()} == {
        *VENDORED,
        "d3.LICENSE",
        "plot.LICENSE",
        "page.css",
        "page.js",
        "figures.js",
    }


def test_a_table_a_picture_and_a_notebook_say_the_same(surrogate, tmp_path):
    ranking = rank(OPEN, surrogate)
    first = ranking.frame["candidate"][0]
    text = write_report(ranking, tmp_path / "a.md", title="Ours").read_text(encoding="utf-8")
    assert text.startswith(f"# Ours\n\n**Take `{first}` through RL first")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 20
    assert len({line.count("|") for line in rows}) == 1
    assert "... and 20 more candidates." in text
    assert write_report(ranking, tmp_path / "a.png").read_bytes()[1:4] == b"PNG"
    assert write_report(rank(OPEN, None), tmp_path / "b.png").read_bytes()[1:4] == b"PNG"
    shown = Reader(ranking._repr_html_())
    assert shown.open == []
    assert f"Take {first} through RL first" in shown.text
    assert all(note in shown.text for note in ranking.notes)
    assert "<script" not in ranking._repr_html_()


def test_signs_of_markdown_stay_signs(tmp_path):
    table = pl.DataFrame({"candidate": ["a|b`c", "*d*"], "pre_pass_at_1": [0.5, 0.4], "pre_pass_at_64": [0.7, 0.8]})
    text = write_report(rank(table, None), tmp_path / "a.md", title="<i> *x*").read_text(encoding="utf-8")
    assert "`a\\|b'c`" in text
    assert text.startswith("# &lt;i> \\*x\\*\n")


def test_printing_gives_the_terminals_table(surrogate, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    ranking = rank(OPEN, surrogate)
    lines = str(ranking).splitlines()
    assert lines[0].startswith("Predicted Pass@1 after RL and chance to be best in per cent")
    assert max(map(len, lines)) <= 100
    assert all(name in str(ranking) for name in ranking.frame["candidate"])
    assert repr(ranking).startswith("Ranking(40 candidates by the surrogate 'ridge'")


def test_what_rules_take_of_those_without_a_result_stands_apart_from_what_they_cost_the_others(tmp_path):
    table = pl.DataFrame(
        {
            "name": list("abcdef"),
            "pass@1": [0.4, 0.3, 0.2, 0.1, 0.35, 0.15],
            "pass@64": [0.5, 0.7, 0.6, 0.4, 0.65, 0.8],
            "eval_loss": [0.9, 0.5, 0.7, 0.8, 0.6, 0.55],
            "score_after_rl": [0.45, 0.6, 0.5, 0.3, None, None],
        }
    )
    page = write_report(rank(table), tmp_path / "page.html").read_text(encoding="utf-8")
    left, known = page.split("What they would have cost")
    # SFT Pass@1 takes e of the two that are left; of those with a result it took a, 15 points below b.
    assert "ended at" not in left.split("What the free rules would take")[1]
    assert "15.0" in known.split("</table>")[0]


def test_the_numbers_at_the_top_are_of_what_the_page_decides(written):
    """Where the best so far has its result, they are of the one to take now, as the sentence above them is."""
    known = [0.513, 0.49, 0.539, 0.508, 0.471]
    table = pl.DataFrame(
        {
            "candidate": list("abcdefghi"),
            "pre_pass_at_1": [0.31, 0.35, 0.29, 0.33, 0.36, 0.325, 0.30, 0.37, 0.26],
            "pre_pass_at_64": [0.71, 0.67, 0.73, 0.695, 0.64, 0.709, 0.69, 0.63, 0.67],
            "post_pass_at_1": [*known, None, None, None, None],
        }
    )
    ranking = rank(table)
    assert ranking.frame["candidate"][0] == "c"
    regret = ranking.frame.row(by_predicate=pl.col("candidate") == "f", named=True)["expected_regret"]
    assert f"regret of taking it alone{100 * regret:.1f} points" in written(ranking).text
    assert "chance that the one to take now is best" in written(ranking).text
    assert "chance that the first is best" in written(rank(RUNS.head(6).drop("post_pass_at_1"), fit(RUNS))).text
