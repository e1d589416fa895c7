"""`python -m agri_assets.training`: train one model of a collection by hand, or by torchrun on several devices."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from agri_assets.config import data_root, load_collections
from agri_assets.errors import AgriAssetsError
from agri_assets.splits.summary import read_summary
from agri_assets.store.finding import tell
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome, write_outcome
from agri_assets.training.overrides import parse_overrides
from agri_assets.training.recipe import MODEL_NAMES


def main(arguments: Sequence[str] | None = None) -> int:
    """Train and say where the results lie; a refusal is one line on stderr and its exit code.

    Under torchrun the first of its processes speaks for all.
    """
    args = _parser().parse_args(arguments)
    leads = os.environ.get("RANK", "0") == "0"
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("agri_assets").setLevel(logging.INFO if leads else logging.ERROR)
    try:
        outcome = _train(args)
    except AgriAssetsError as error:
        if leads:
            print(f"agri-assets: {error}", file=sys.stderr)
        return error.exit_code
    if not leads:
        return 0
    if args.result:
        write_outcome(args.result, outcome)
    print(f"{'already trained' if outcome.reused else 'trained'}: {outcome.summary}")
    print(f"weights, contract, history and loss curve: {outcome.path}")
    return 0


def _train(args: argparse.Namespace) -> Outcome:
    overrides = parse_overrides(args.set)
    collection = load_collections(args.collections).collection(args.collection)
    # torch and its companions take seconds to import: a mistake in the settings is told before
    from agri_assets.training.findings import model_findings
    from agri_assets.training.run import train_model

    paths = CollectionPaths(data_root(), args.collection)
    outcome = train_model(collection, paths, args.model, overrides)
    tell(f"{collection.name}/{args.model}", model_findings(collection, read_summary(paths), outcome))
    return outcome


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m agri_assets.training", description=__doc__)
    parser.add_argument("--collection", required=True, help="a collection of collections.yaml")
    parser.add_argument("--model", required=True, choices=MODEL_NAMES)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting over the recipe")
    parser.add_argument("--collections", type=Path, help="another collections.yaml")
    parser.add_argument("--result", type=Path, help="also write the outcome as JSON to this file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
