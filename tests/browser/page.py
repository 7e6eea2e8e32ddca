"""Pages in a real Chromium: `make test-browser`, or `python -m pytest` on this file.

It is not collected by itself, because not every machine has a browser. It looks for the program that
QUAGPREDICT_CHROMIUM names, and for chromium on the PATH (Debian: `apt-get install chromium`); without one, or without
playwright, it fails and says so. Screenshots go to the folder that QUAGPREDICT_SCREENSHOTS names, if it does: look at
them.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import quagpredict as qp
from quagpredict.shipped import shipped_path

WIDTHS = (1440, 800, 390)
SCHEMES = ("light", "dark")
PAGES = ("results", "before", "screening", "race", "many", "loss", "one")

# Every visible text with its box; and what of it lies over another text, out of sight, or beyond what holds it.
FAULTS = """
() => {
  const boxes = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode;
    const holder = node.parentElement;
    if (!node.textContent.trim() || holder.closest("script, style, title, [hidden], [aria-label=tip]")) continue;
    const style = getComputedStyle(holder);
    if (style.visibility === "hidden" || style.display === "none") continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      if (box.width > 1 && box.height > 1) boxes.push({ box, holder, text: node.textContent.trim() });
    }
  }
  const faults = [];
  const wide = document.documentElement.clientWidth;
  for (const { box, text } of boxes) {
    if (box.left < -0.5 || box.right > wide + 0.5) faults.push(`beyond the page: ${text}`);
  }
  boxes.sort((a, b) => a.box.top - b.box.top);
  for (let i = 0; i < boxes.length; i += 1) {
    const a = boxes[i];
    for (let j = i + 1; j < boxes.length && boxes[j].box.top < a.box.bottom; j += 1) {
      const b = boxes[j];
      const across = Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left);
      const down = Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top);
      // Line boxes are higher than letters: two lines that follow each other may touch.
      const over = down > 0.4 * Math.min(a.box.height, b.box.height);
      if (across > 1.5 && over) faults.push(`over each other: ${a.text} | ${b.text}`);
    }
  }
  for (const element of document.querySelectorAll("button, input, .dot, .mid, .is")) {
    const own = element.getBoundingClientRect();
    if (!own.width) continue;
    for (const { box, holder, text } of boxes) {
      if (element.contains(holder) || holder.contains(element)) continue;
      const across = Math.min(own.right, box.right) - Math.max(own.left, box.left);
      const down = Math.min(own.bottom, box.bottom) - Math.max(own.top, box.top);
      const over = down > 0.4 * Math.min(own.height, box.height);
      if (across > 1.5 && over) faults.push(`under ${element.className || element.tagName}: ${text}`);
    }
  }
  for (const figure of document.querySelectorAll("[data-figure=loss], [data-figure=actual]")) {
    const marks = [...figure.querySelectorAll("svg [aria-label=dot] > *")].map((mark) => mark.getBoundingClientRect());
    for (const label of figure.querySelectorAll("text.label")) {
      const own = label.getBoundingClientRect();
      for (const mark of marks) {
        const [x, y] = [(mark.left + mark.right) / 2, (mark.top + mark.bottom) / 2];
        const inside = x > own.left && x < own.right && y > own.top && y < own.bottom;
        if (inside) faults.push(`over a mark: ${label.textContent}`);
      }
    }
  }
  return [...new Set(faults)];
}
"""


def chromium() -> str:
    found = os.environ.get("QUAGPREDICT_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    assert found, "no Chromium: `apt-get install chromium`, or name one in QUAGPREDICT_CHROMIUM"
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        # A program that root runs has no sandbox of its own; the pages are ours.
        started = play.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield started
        started.close()


def results(path: Path) -> None:
    candidates, truth = "datasets/lab/candidates/*.parquet", "datasets/lab/outcomes.parquet"
    ranking = qp.rank(candidates, "lab", truth=truth, gate=0.5, budget=3, next_run=True)
    qp.write_report(ranking, path, gpu_hours_per_run=24, title="The lab")


def before(path: Path) -> None:
    candidates = "datasets/lab-2/candidates/*.parquet"
    qp.write_report(qp.rank(candidates, "lab-2", gate=0.9), path, gpu_hours_per_run=96)


def screening(path: Path) -> None:
    table = pl.DataFrame(
        {
            "candidate": [f"run-{place}" for place in range(9)],
            "pre_pass_at_1": [0.2 + 0.03 * place for place in range(9)],
            "pre_pass_at_64": [0.7, 0.66, 0.72, 0.8, 0.75, 0.71, 0.69, 0.78, 0.6],
            "pre_held_out_loss_nats": [0.5 + 0.01 * place**2 for place in range(9)],
        }
    )
    qp.write_report(qp.rank(table, None, budget=3), path)


def race(path: Path) -> None:
    corpus = pl.read_parquet(shipped_path("datasets/lab-2/corpus.parquet"))
    runs = corpus.filter(base_model="able").unique("candidate", keep="first", maintain_order=True).head(12)
    points = [
        (name, point["step"], point["pass_at_1"], point["pass_at_16"])
        for place, (name, curve) in enumerate(runs.select("candidate", "post_curve").head(9).iter_rows())
        for point in curve[: 2 + place % 4]
    ]
    curves = pl.DataFrame(points, schema=["candidate", "step", "pass_at_1", "pass_at_16"], orient="row")
    after = [name for name in runs.columns if name.startswith(("post_", "rl_"))]
    table = runs.drop(after)
    qp.write_report(qp.rank(table, "lab-2", curves=curves, rl_steps=300), path, gpu_hours_per_run=24)


def many(path: Path) -> None:
    draw, count = np.random.default_rng(0), 700
    table = pl.DataFrame(
        {
            "candidate": [f"</script><b>&run\x1b{place}_{'very-long-' * (place % 9)}" for place in range(count)],
            "base_model": [f"org/base-{place % 8}-Instruct" for place in range(count)],
            "pre_pass_at_1": draw.uniform(0.1, 0.6, count),
            "pre_held_out_loss_nats": draw.uniform(0.3, 2.0, count),
        }
    ).with_columns(pre_pass_at_64=0.4 + 0.4 * pl.col("pre_pass_at_1"))
    after = pl.col("pre_pass_at_64") - 0.05 * pl.col("pre_held_out_loss_nats")
    table = table.with_columns(post_pass_at_1=pl.when(pl.int_range(count) < 40).then(after))
    qp.write_report(qp.rank(table, "ridge:both"), path)


def loss(path: Path) -> None:
    draw, count = np.random.default_rng(0), 24
    table = pl.DataFrame(
        {"candidate": [f"mix-{place}" for place in range(count)], "web": draw.uniform(size=count)}
    ).with_columns(loss=2.0 + 0.3 * pl.col("web") + 0.05 * pl.Series(draw.normal(size=count)))
    table = table.with_columns(loss=pl.when(pl.int_range(count) < 16).then("loss"))
    qp.write_report(qp.rank(table, "ridge", features=["web"], target="loss", minimize=True), path)


def one(path: Path) -> None:
    table = pl.DataFrame({"candidate": ["only"], "pre_pass_at_1": [0.3], "pre_pass_at_64": [0.6]})
    qp.write_report(qp.rank(table, None), path)


MAKERS = {
    "results": results,
    "before": before,
    "screening": screening,
    "race": race,
    "many": many,
    "loss": loss,
    "one": one,
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    made = {name: folder / f"{name}.html" for name in PAGES}
    for name, path in made.items():
        MAKERS[name](path)
    return made


def opened(browser: Any, path: Path, width: int, scheme: str = "light") -> tuple[Any, list[str]]:
    """A page that is drawn, and what its console and its network said."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    said: list[str] = []
    page.on("console", lambda message: said.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.on("request", lambda request: said.append(f"request: {request.url[:200]}"))
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]")
    page.wait_for_function("[...document.querySelectorAll('.plot')].every((one) => one.childNodes.length)")
    assert said.pop(0) == f"request: {path.as_uri()}"
    return page, said


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_legible(browser: Any, pages: dict[str, Path], name: str, width: int, scheme: str) -> None:
    page, said = opened(browser, pages[name], width, scheme)
    folder = os.environ.get("QUAGPREDICT_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}-{scheme}-{width}.png", full_page=True)
    assert page.evaluate(FAULTS) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for more in page.locator("details:not([open]) summary").all():
        more.click()
    page.locator(".candidates tr.row:visible .who button").first.click()
    assert page.locator(".candidates tr.more:visible").count() == 1
    assert page.evaluate(FAULTS) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert said == []
    page.close()


def test_a_fault_is_seen(browser: Any) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 600})
    page.set_content(
        "<p style='position:absolute;top:10px;left:10px'>under this</p>"
        "<p style='position:absolute;top:12px;left:30px'>lies that</p>"
        "<p style='position:absolute;top:90px;left:350px;white-space:nowrap'>and this leaves it</p>"
        "<p style='position:absolute;top:150px;left:10px'>hidden</p>"
        "<button style='position:absolute;top:160px;left:10px'>B</button>"
    )
    faults = " ".join(page.evaluate(FAULTS))
    assert all(
        said in faults for said in ("under this | lies that", "beyond the page: and this", "under BUTTON: hidden")
    )
    page.close()


def test_sorting_filtering_and_searching(browser: Any, pages: dict[str, Path]) -> None:
    page, said = opened(browser, pages["results"], 1440)
    shown = page.locator(".candidates tbody:visible .who .name")
    assert shown.count() == 30
    page.get_by_role("button", name="Show all 32").click()
    assert shown.count() == 32
    page.get_by_role("button", name="loss", exact=True).click()
    values = page.evaluate(
        "[...document.querySelectorAll('.candidates tbody')].map((body) => JSON.parse("
        "document.getElementById('data').textContent).candidates[+body.dataset.at].loss)"
    )
    assert values == sorted(values)
    assert page.locator("th[aria-sort=ascending]").inner_text().startswith("loss")
    marks = page.locator(".plot[data-figure=loss] svg [aria-label=dot] > *")
    assert marks.count() == 32
    page.locator(".controls").get_by_role("button", name="weak").click()
    assert shown.count() == 8
    assert marks.count() == 8
    assert all("weak" in name for name in shown.all_inner_texts())
    page.get_by_placeholder("Find a candidate").fill("no such")
    assert shown.count() == 0
    assert page.get_by_text("No candidate fits these filters.").is_visible()
    assert page.get_by_text("Nothing to draw with these filters.").first.is_visible()
    page.get_by_placeholder("Find a candidate").fill("")
    page.locator(".controls").get_by_role("button", name="All bases").click()
    assert shown.count() == 32
    assert said == []
    page.close()


def test_hovering_names_the_point(browser: Any, pages: dict[str, Path]) -> None:
    page, said = opened(browser, pages["results"], 1440)
    mark = page.locator(".plot[data-figure=loss] svg [aria-label=dot] > *").first
    mark.scroll_into_view_if_needed()
    box = mark.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tip = page.locator(".plot[data-figure=loss] svg [aria-label=tip]")
    assert "predicted" in tip.text_content()
    assert said == []
    page.close()


def test_it_needs_no_script_to_be_read(browser: Any, pages: dict[str, Path]) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(pages["results"].as_uri())
    assert page.locator("h1").inner_text().startswith("Take ")
    assert page.locator(".candidates tr.row").count() == 32
    assert page.locator(".candidates tr.row").first.is_visible()
    context.close()


def test_paper_is_white_whatever_the_screen(browser: Any, pages: dict[str, Path]) -> None:
    page, said = opened(browser, pages["results"], 1000, "dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator(".controls").is_hidden()
    assert len(page.pdf()) > 10_000
    assert said == []
    page.close()
