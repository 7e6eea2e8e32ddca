"""``quagpredict doctor``: what is installed and what really works here."""

import argparse
from typing import Any

from quagpredict.cli.inputs import console

DESCRIPTION = "Look at this installation: packages, engines as they really run, GPUs, extras, and what to do."
EPILOG = """\
examples:
  quagpredict doctor
  quagpredict doctor --format json
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--format", choices=("table", "json"), default="table", help="what to print (default: table)")


def run(args: argparse.Namespace) -> int:
    """Print what was found; 1 if something that is installed does not work."""
    import json

    from quagpredict.diagnosis import doctor

    findings = doctor()
    if args.format == "json":
        print(json.dumps([finding._asdict() for finding in findings], indent=1))
    else:
        _print(findings)
    return 1 if any(finding.state == "broken" for finding in findings) else 0


def _print(findings: Any) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("", "", "", box=None, show_header=False, padding=(0, 1))
    styles = {"works": "green", "missing": "yellow", "broken": "bold red", "info": "dim"}
    for finding in findings:
        detail = f"{finding.detail}\n{finding.cure}" if finding.cure else finding.detail
        state = "" if finding.state == "info" else finding.state
        table.add_row(Text(finding.name), Text(state, style=styles[finding.state]), Text(detail))
    console().print(table)
