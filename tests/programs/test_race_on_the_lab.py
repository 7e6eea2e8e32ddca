"""The page of the race in the lab is what its program makes of the shipped records."""

import runpy

from quagpredict.shipped import shipped_path


def test_the_page_is_what_the_shipped_records_say(tmp_path, monkeypatch):
    root = shipped_path("collectors/plans/lab-race.yaml").parents[2]
    monkeypatch.chdir(root)
    program = runpy.run_path("collectors/report_race.py")
    page = tmp_path / "race-on-the-lab.md"
    program["main"](["collectors/plans/lab-race.yaml", "datasets/lab-race", "--page", str(page)])
    made = page.read_text().replace(str(page), "docs/race-on-the-lab.md")
    assert made == (root / "docs" / "race-on-the-lab.md").read_text()
    assert (tmp_path / "figures" / "race-on-the-lab.png").is_file()
