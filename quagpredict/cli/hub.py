"""``quagpredict hub``: a corpus or a surrogate as a folder that the Hugging Face hub takes."""

import argparse

from quagpredict.cli.inputs import say

DESCRIPTION = """\
Write a corpus as a dataset folder, or a surrogate as a model folder, with the card that the Hugging Face hub reads, and
print the command that would send it there. Nothing is sent.
"""
EPILOG = """\
examples:
  quagpredict hub datasets/lab-pilot --out hub/lab-pilot --repo me/lab-pilot
  quagpredict hub models/mine --out hub/mine
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add = parser.add_argument
    add("source", metavar="PATH", help="a folder that `quagpredict fit` made, a table, or a folder with corpus.parquet")
    add("--out", required=True, metavar="FOLDER", help="folder to write; must not be there")
    add("--repo", metavar="OWNER/NAME", help="where it would go, for the command that is printed")
    add("--license", metavar="ID", help="as the hub names it, such as apache-2.0")


def run(args: argparse.Namespace) -> int:
    """Write the folder, print the command."""
    from quagpredict.report.cards import write_hub_folder

    made = write_hub_folder(args.source, args.out, repo=args.repo, license=args.license)
    say(f"wrote {made.path}, a {made.kind}; to send it:")
    print(made.upload)
    return 0
