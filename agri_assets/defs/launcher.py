"""The child process of a training: forwards its log to Dagster and runs the trainer (`python -m` this module)."""

import argparse
import logging
import sys
from pathlib import Path

from dagster_pipes import PipesContext, open_dagster_pipes

from agri_assets.config import data_root, load_collections
from agri_assets.errors import AgriAssetsError
from agri_assets.store.commit import write_text
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import write_outcome


class PipesHandler(logging.Handler):
    """Hands the project's log records to the run log."""

    def __init__(self, pipes: PipesContext) -> None:
        super().__init__(logging.INFO)
        self.pipes = pipes

    def emit(self, record: logging.LogRecord) -> None:
        """Forward one record at its level."""
        level = "warning" if record.levelno >= logging.WARNING else "info"
        getattr(self.pipes.log, level)(self.format(record))


def main() -> int:
    """Train, and write the outcome or the one-line refusal where the parent looks for it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--collection", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--result", type=Path, required=True)
    parser.add_argument("--refusal", type=Path, required=True)
    args = parser.parse_args()
    with open_dagster_pipes() as pipes:
        project = logging.getLogger("agri_assets")
        project.setLevel(logging.INFO)
        project.addHandler(PipesHandler(pipes))
        try:
            from agri_assets.training.run import train_model

            collection = load_collections().collection(args.collection)
            outcome = train_model(collection, CollectionPaths(data_root(), args.collection), args.model)
        except AgriAssetsError as error:
            write_text(args.refusal, str(error))
            return error.exit_code
        write_outcome(args.result, outcome)
    return 0


if __name__ == "__main__":
    sys.exit(main())
