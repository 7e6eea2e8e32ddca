"""Print what `bench/choice.py` found as Markdown: `python bench/choice_tables.py OUT.json`."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path


def tables(result: dict[str, dict[str, dict[str, list[float]]]]) -> str:
    """Return as Markdown, by family and over all, what each rule costs and how the default differs from it."""
    lines: list[str] = []
    for family in dict.fromkeys(key.rpartition(" ")[0] for key in result):
        found = {key.rpartition(" ")[2]: one for key, one in result.items() if key.rpartition(" ")[0] == family}
        rules = [
            name for name in dict.fromkeys(name for one in found.values() for name in one["mean"]) if name != "holds"
        ]
        lines += [
            "",
            f"{family}: regret in points, pairs in order",
            "",
            _row(["finished", *rules]),
            _row(["---:", *["---"] * len(rules)]),
        ]
        for count, one in found.items():
            cells = [f"{v[0]:.1f}, {v[2]:.2f}" if (v := one["mean"].get(name)) else "" for name in rules]
            lines.append(_row([count, *cells]))
        beside = [name for name in rules if name != "hierarchical"]
        lines += ["", f"{family}: regret of the default less that of a rule, 90 % interval", ""]
        lines += [
            _row(["finished", *beside, "holds", "log, Brier score"]),
            _row(["---:", *["---"] * (len(beside) + 2)]),
        ]
        for count, one in found.items():
            default, less = one["mean"]["hierarchical"], one["default less rule, 90 %"]
            cells = [
                f"{default[0] - one['mean'][name][0]:+.1f} ({less[name][0]:+.1f} to {less[name][1]:+.1f})"
                if name in less
                else ""
                for name in beside
            ]
            chances = f"{default[3]:+.2f}, {default[4]:+.2f}"
            lines.append(_row([count, *cells, f"{100 * one['mean']['holds'][0]:.0f} %", chances]))
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print(tables(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
