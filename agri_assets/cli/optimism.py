"""`agri-assets optimism COLLECTION MODEL`: how much a random split would flatter a model."""

import argparse

from agri_assets.training.recipe import MODEL_NAMES

HELP = "train a model's recipe on a random split too, so that its report shows how much that flatters"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("collection", help="a collection of collections.yaml")
    parser.add_argument("model", choices=MODEL_NAMES, help="one of its models")


def run(args: argparse.Namespace) -> int:
    """Train, score, and say what came out."""
    from agri_assets.config import data_root, load_collections
    from agri_assets.evaluation.random_split import score_random_split
    from agri_assets.evaluation.records import command
    from agri_assets.store.layout import CollectionPaths

    collection = load_collections().collection(args.collection)
    found = score_random_split(collection, CollectionPaths(data_root(), args.collection), args.model)
    auc = "undefined" if found.scores.roc_auc is None else f"{found.scores.roc_auc:.3f}"
    print(f"{args.collection}/{args.model} on a random split: ROC AUC {auc}, accuracy {found.scores.accuracy:.3f}")
    print(f"its report shows both after `{command(args.collection, f'{args.model}_report')}`")
    return 0
