"""Every trained network of a collection as a bundle: what ONNX and its 8-bit form change, and how fast that one is.

    python -m benchmarks.bundle [--collection eurosat] [--models efficientnet_b3 ...] [--epochs 1]

Networks are trained as `benchmarks.study models` does it, and its trainings are used again. Each is reported and
bundled by the platform itself: agreement and losses are read from the contract of its bundle.
"""

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from agri_assets.bundle.build import build_bundle
from agri_assets.bundle.contract import BundleContract
from agri_assets.config import Collection, data_root, load_collections
from agri_assets.errors import EvaluationError
from agri_assets.evaluation.champion import decide
from agri_assets.evaluation.records import read_metrics
from agri_assets.evaluation.report import build_report
from agri_assets.store.commit import write_json
from agri_assets.store.layout import CollectionPaths
from agri_assets.training.recipe import MODEL_NAMES, ModelName
from benchmarks.results_file import Row, publish
from benchmarks.study import own_root, train

PACKAGES = ("torch", "timm", "keras", "onnx", "onnxruntime", "numpy")
ANYBODY: dict[str, float] = {"champion_ece": 1.0, "champion_minimum": 0.0}
"""A rule by which a single candidate is champion, however good it is."""


def bundled(
    collection: Collection, paths: CollectionPaths, model: ModelName, epochs: int
) -> tuple[BundleContract, int]:
    """The contract of a model's bundle, and the epochs it was trained for."""
    trained = train(collection.name, paths.root, model, {"epochs": epochs} if epochs else {})
    build_report(collection, paths, model)
    metrics = read_metrics(paths, model)
    assert metrics is not None, "it was reported just now"
    rule = collection.evaluation.model_copy(update=ANYBODY)
    champion = decide([metrics], None, rule, f"{datetime.now(UTC):%Y-%m-%d}").champion
    if champion is None:
        raise EvaluationError(f"{model}: its report has no {rule.champion_metric}; test needs samples of both labels")
    write_json(paths.champion, champion.model_dump(mode="json"))
    return BundleContract.load(build_bundle(collection, paths).path), int(trained.metadata["epochs"] or 0)


def row(contract: BundleContract, epochs: int) -> dict[str, Any]:
    """What a contract tells."""
    int8, agreement = contract.int8, contract.agreement
    return {
        "model": contract.model,
        "epochs": epochs,
        "tiles_compared": agreement.tiles,
        "from_network": agreement.network,
        "from_stored": agreement.stored,
        "int8_tiles": int8.tiles,
        "roc_auc": round(int8.roc_auc or 0.0, 4),
        "roc_auc_int8": round(int8.roc_auc_int8 or 0.0, 4),
        "points_lost": round(int8.loss, 3),
        "int8_speedup": round(int8.speedup, 2),
        "int8_tiles_per_s": round(int8.tiles_per_s, 1),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--collection", default="eurosat")
    parser.add_argument("--models", nargs="+", choices=MODEL_NAMES, default=MODEL_NAMES)
    parser.add_argument("--epochs", type=int, default=0, help="instead of the recipe's")
    args = parser.parse_args(arguments)
    collection = load_collections().collection(args.collection)
    root = own_root(CollectionPaths(data_root(), collection.name))
    paths = CollectionPaths(root, collection.name)
    rows: list[Row] = [row(*bundled(collection, paths, model, args.epochs)) for model in args.models]
    ratios = {
        "largest_difference": max(float(one["from_network"]) for one in rows),
        "most_points_lost": max(float(one["points_lost"]) for one in rows),
        "least_speedup": min(float(one["int8_speedup"]) for one in rows),
    }
    publish(f"{args.collection}_bundle", rows, ratios, PACKAGES)


if __name__ == "__main__":
    main()
