"""`agri-assets doctor`: finds what killed processes left behind, says what it will do about it, and does it.

Stuck runs, pool slots that are still held, files that nobody finishes, and events that tell of other files than there
are. What a person has to decide is told with the command that mends it.
"""

import argparse
import sys
from typing import TYPE_CHECKING

from agri_assets.cli.doctor.files import file_findings
from agri_assets.cli.doctor.finding import Finding
from agri_assets.config import data_root, load_collections
from agri_assets.errors import AgriAssetsError, StoreError, first_line

if TYPE_CHECKING:
    from dagster import DagsterInstance

HELP = "find and mend what killed runs left: stuck runs, held pool slots, half-made files, lost outputs"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument("--yes", action="store_true", help="do not ask; nor is asked where there is no terminal")


def run(args: argparse.Namespace) -> int:
    """Tell what is wrong, and mend what can be mended."""
    with _open_instance() as instance:
        findings = examine(instance)
        for finding in findings:
            print(finding)
        mendable = [finding for finding in findings if finding.mend]
        if not findings:
            print("Nothing is wrong: no run is stuck, no pool slot is held by a dead run, files and events agree.")
        if not mendable or args.dry_run or not _agreed(len(mendable), args.yes):
            return 0
        failed = [problem for finding in mendable if finding.mend and (problem := finding.mend())]
        for problem in failed:
            print(f"left as it is: {problem}")
        print(f"{len(mendable) - len(failed)} mended")
    return 0


def examine(instance: "DagsterInstance") -> list[Finding]:
    """All that is wrong, in the order in which it is to be mended."""
    from agri_assets.cli.doctor.records import record_findings
    from agri_assets.cli.doctor.runs import run_findings, slot_findings

    found = [*run_findings(instance), *slot_findings(instance)]
    try:
        collections, root = load_collections(), data_root()
        found += file_findings(root, collections)
        return [*found, *record_findings(instance, root, collections)]
    except AgriAssetsError as error:
        # what is wrong with the runs can be mended all the same
        print(f"The data is not looked at: {error}")
        return found


def _agreed(count: int, yes: bool) -> bool:
    """Whether to go on: asked of a person, taken for granted where nobody could answer."""
    if yes or not sys.stdin.isatty():
        return True
    return input(f"Do this ({count})? [y/N] ").strip().lower() in ("y", "yes")


def _open_instance() -> "DagsterInstance":
    from dagster import DagsterError, DagsterInstance

    try:
        return DagsterInstance.get()
    except DagsterError as error:
        raise StoreError(
            f"cannot open the Dagster instance; export DAGSTER_HOME=/absolute/path ({first_line(error)})"
        ) from None
