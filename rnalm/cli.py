"""A thin command line for work outside the pipeline."""

import argparse
import sys
from pathlib import Path

from rnalm import __version__
from rnalm.config import load, reference
from rnalm.errors import RnalmError


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return its exit status.

    Parameters
    ----------
    arguments : list of str, optional
        What follows the program's name; None: what the terminal gives.
    """
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except RnalmError as error:
        print(f"rnalm: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rnalm", description="Work around the pipeline. The pipeline itself: snakemake --cores 8"
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    check = commands.add_parser("check", help="look a configuration over")
    check.add_argument("file", type=Path)
    check.set_defaults(run=_check)
    schema = commands.add_parser("schema", help="print the JSON schema of the configuration")
    schema.set_defaults(run=lambda options: print(reference.schema(), end=""))
    keys = commands.add_parser("keys", help="print what every key of the configuration means")
    keys.set_defaults(run=lambda options: print(reference.keys(), end=""))
    return parser


def _check(options: argparse.Namespace) -> None:
    """Check a configuration file, and read the first record of every source."""
    from rnalm.config import document
    from rnalm.sequences.read import read_records

    content = document.read(options.file)
    if not isinstance(content, dict):
        raise RnalmError(f"{options.file}: expected keys and values, found {type(content).__name__}")
    checked = load.load(content, str(options.file))
    for name, source in {"source": checked.source, "tokenizer.source": checked.tokenizer.source, **checked.inference}.items():
        if source is not None:
            record = next(read_records(source))
            first = f"first sequence {record.id!r}, {len(record.sequence)} letters or tokens, label {record.label}"
            print(f"{name}: {source.paths[0]}: {first}")
    print(f"{options.file}: good")
