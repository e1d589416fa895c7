"""The `agri-assets` command: finds the subcommand's module, and prints the project's own errors as one line."""

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence

from agri_assets import __version__
from agri_assets.errors import AgriAssetsError

COMMANDS = ("demo", "doctor", "export", "inspect", "lineage", "optimism", "predict", "samples", "verify")
"""Subcommands; each is the module of that name in this package with `HELP`, `configure` and `run`."""


def build_parser() -> argparse.ArgumentParser:
    """The parser of all subcommands."""
    parser = argparse.ArgumentParser(
        prog="agri-assets", description="Sentinel-2 scenes to models and maps of farmland."
    )
    parser.add_argument("--version", action="version", version=f"agri-assets {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = importlib.import_module(f"agri_assets.cli.{name}")
        command = subparsers.add_parser(name, help=module.HELP, description=module.HELP)
        module.configure(command)
        command.set_defaults(run=module.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand and return its exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("agri_assets").setLevel(logging.INFO)
    args = build_parser().parse_args(arguments)
    try:
        return int(args.run(args))
    except AgriAssetsError as error:
        print(f"agri-assets: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # whoever read our output has stopped reading (`| head`): nothing is wrong
        sys.stderr.close()
        return 0
    except OSError as error:
        print(f"agri-assets: {error.filename or args.command}: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("agri-assets: interrupted; finished work is kept, run again to go on", file=sys.stderr)
        return 130
