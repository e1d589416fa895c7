"""A study: variants of a model or a recipe, trained on one collection and scored on its test split.

    python -m benchmarks.study hybrid --collection eurosat [--epochs 2] [--seeds 0 1 2]

Studies: `models` (the three networks with the shipped recipe), `hybrid` (where the CNN hands over to the transformer,
how deep and how wide that is), `recipe` (the shipped recipe without each of its parts). The collection's cube and split
have to be there (`dagster asset materialize --select key:eurosat/splits`); they are read and not changed. What is done
already is not done again, so that a study may be stopped and go on. Thresholds are chosen on val, figures are of test.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agri_assets.config import Collection, data_root, load_collections
from agri_assets.evaluation.intervals import intervals
from agri_assets.evaluation.metrics import choose_threshold, score
from agri_assets.evaluation.predictions import predict
from agri_assets.loading.samples import SampleTable, load_samples
from agri_assets.models.contract import ModelContract
from agri_assets.models.predictor import load_predictor
from agri_assets.splits.summary import read_summary
from agri_assets.store.commit import write_json
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome, read_outcome
from benchmarks.results_file import Row, publish

WORK = Path(__file__).parent / ".work" / "study"
PACKAGES = ("torch", "timm", "keras", "numpy")
SHARED = ("cube", "tiles", "splits", "receipts", "identity.json", "catalog.parquet")
"""What a study reads of its collection; all else it makes is its own."""

HYBRID = "cnn_vit_hybrid"
Variant = tuple[str, dict[str, Any]]

STUDIES: dict[str, dict[str, Variant]] = {
    "models": {name: (name, {}) for name in ("resnet50", "efficientnet_b3", HYBRID)},
    "hybrid": {
        "as shipped": (HYBRID, {}),
        "4 blocks": (HYBRID, {"options.depth": 4}),
        "stride 16": (HYBRID, {"options.stride": 16}),
        "width 96": (HYBRID, {"options.width": 96}),
        "width 384": (HYBRID, {"options.width": 384}),
    },
    "recipe": {
        "as shipped": (HYBRID, {}),
        "no CutMix": (HYBRID, {"cutmix": 0}),
        "no jitter": (HYBRID, {"jitter": 0, "brightness": 0, "noise": 0}),
        "stronger jitter": (HYBRID, {"jitter": 0.2}),
        "no averaging": (HYBRID, {"ema_decay": 0}),
        "no smoothing": (HYBRID, {"label_smoothing": 0}),
        "two classes": (HYBRID, {"fine_classes": False}),
        "no zoom, no rotation": (HYBRID, {"zoom": 0, "rotation": False}),
        "tiles not enlarged": (HYBRID, {"options.input_scale": 1.0}),
        "no orientations": (HYBRID, {"orientations": False}),
        "mean over orientations": (HYBRID, {"test_orientations": True}),
    },
}
"""By study and name: the model and what differs from its recipe."""


def own_root(paths: CollectionPaths) -> Path:
    """A data root that shares cube and split with the collection's own."""
    folder = WORK / paths.collection
    folder.mkdir(parents=True, exist_ok=True)
    for name in SHARED:
        if (paths.folder / name).exists() and not (folder / name).is_symlink():
            (folder / name).symlink_to((paths.folder / name).resolve())
    return WORK


def train(collection: str, root: Path, model: str, settings: Mapping[str, Any]) -> Outcome:
    """What a training by the plain command recorded; it goes on, or is found done, where it was begun before."""
    result = root / "outcome.json"
    given = [f"--set={key}={json.dumps(value)}" for key, value in settings.items()]
    command = [sys.executable, "-m", "agri_assets.training", "--collection", collection, "--model", model, *given]
    environment = {**os.environ, "AGRI_DATA_ROOT": str(root)}
    subprocess.run([*command, "--result", str(result)], env=environment, check=True)
    return read_outcome(result)


def scores(run: Path, collection: Collection, tables: Mapping[str, SampleTable], cubes: Mapping[str, Path]) -> Row:
    """Figures of a run on test, with the bounds of their intervals."""
    predictor = load_predictor(run)
    found = {role: predict(predictor, samples, cubes, f"predicting {role}") for role, samples in tables.items()}
    rule = collection.evaluation
    threshold = choose_threshold(tables["val"].label, found["val"], rule.threshold_rule, rule.wanted_recall)
    test = tables["test"]
    value = score(test.label, found["test"], threshold)
    bounds = intervals(test.label, found["test"], test.cell, threshold)
    row: dict[str, float] = {"threshold": threshold, "recall": value.recall or 0.0}
    for name in ("accuracy", "roc_auc"):
        low, high = bounds[name] or (float("nan"), float("nan"))
        row |= {name: getattr(value, name), f"{name}_low": low, f"{name}_high": high}
    return row


def study(name: str, collection: Collection, paths: CollectionPaths, epochs: int, seeds: Sequence[int]) -> list[Row]:
    """One row for each variant and seed."""
    root = own_root(paths)
    tables = {role: load_samples(paths, role) for role in ("val", "test")}
    cubes = {tile: paths.cube(tile) for tile in read_summary(paths).cubes}
    rows: list[Row] = []
    for variant, (model, settings) in STUDIES[name].items():
        for seed in seeds:
            outcome = train(
                collection.name, root, model, {**settings, "seed": seed, **({"epochs": epochs} if epochs else {})}
            )
            run, told = outcome.path, outcome.metadata
            done = run / "study.json"
            if not done.exists():
                write_json(done, dict(scores(run, collection, tables, cubes)))
            rows.append(
                {
                    "variant": variant,
                    "seed": seed,
                    "parameters": ModelContract.load(run).parameters,
                    "epochs": int(told["epochs"] or 0),
                    "samples_per_s": round(float(told["samples_per_s"] or 0), 1),
                    "val_roc_auc": round(float(told["val_roc_auc"] or 0), 4),
                    **{key: round(value, 4) for key, value in json.loads(done.read_text()).items()},
                }
            )
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a study and publish it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--collection", default="eurosat")
    parser.add_argument("--epochs", type=int, default=0, help="instead of the recipe's")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    args = parser.parse_args(arguments)
    collection = load_collections().collection(args.collection)
    paths = CollectionPaths(data_root(), collection.name)
    rows = study(args.study, collection, paths, args.epochs, args.seeds)
    best = max(rows, key=lambda row: row["roc_auc"])
    ratios = {"best_roc_auc": float(best["roc_auc"]), "best_accuracy": max(float(row["accuracy"]) for row in rows)}
    publish(f"{args.collection}_{args.study}", rows, ratios, PACKAGES)


if __name__ == "__main__":
    main()
