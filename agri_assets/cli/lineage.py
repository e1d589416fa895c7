"""`agri-assets lineage COLLECTION MODEL`: from a model to its split, its cubes, and every scene with its radiometry."""

import argparse
import json
from typing import Any

from agri_assets.training.recipe import MODEL_NAMES

HELP = "tell what a trained model was made from: split, cubes, scenes and their radiometric decisions"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("collection", help="a collection of collections.yaml")
    parser.add_argument("model", choices=MODEL_NAMES, help="one of its models")
    parser.add_argument("--run", help="one of its runs; the live one by default", dest="training_run")
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")


def run(args: argparse.Namespace) -> int:
    """Print run, split, cubes and scenes."""
    from agri_assets.config import data_root, load_collections
    from agri_assets.store.layout import CollectionPaths

    collection = load_collections().collection(args.collection)
    found = _lineage(CollectionPaths(data_root(), collection.name), args.model, args.training_run)
    print(json.dumps(found, indent=1) if args.json else _told(found))
    return 0


def _lineage(paths: Any, model: str, run: str | None) -> dict[str, Any]:
    from agri_assets.errors import EvaluationError
    from agri_assets.evaluation.records import command, read_current
    from agri_assets.models.contract import ModelContract
    from agri_assets.training.lineage import read_scenes

    if run is None:
        current = read_current(paths.model(model) / "current.json")
        if current is None:
            again = command(paths.collection, model)
            raise EvaluationError(f"{paths.model(model) / 'current.json'}: {model} is not trained; run `{again}`")
        run = current.run
    folder = paths.model_run(model, run)
    contract, scenes = ModelContract.load(folder), read_scenes(folder)
    return {
        "collection": paths.collection,
        "model": model,
        "run": run,
        "folder": str(folder),
        "split": {"fingerprint": contract.split_fingerprint, "proof": contract.proof},
        "cubes": dict(scenes[["tile", "cube_version"]].drop_duplicates().itertuples(index=False, name=None)),
        "scenes": json.loads(scenes.drop(columns="cube_version").to_json(orient="records")),
    }


def _told(found: dict[str, Any]) -> str:
    split = found["split"]
    lines = [
        f"{found['collection']}/{found['model']} run {found['run']}: {found['folder']}",
        f"split {split['fingerprint'][:12]}, proof: {split['proof']}",
        *(f"cube of {tile}: data version {version[:12]}" for tile, version in found["cubes"].items()),
    ]
    for scene in found["scenes"]:
        samples = f"{scene['train_samples']} train, {scene['val_samples']} val"
        decided = "no radiometric decision recorded"
        if scene["decision"] is not None:
            decided = f"offset {scene['offset']} (baseline {scene['processing_baseline']}): {scene['decision']}"
        lines.append(f"{scene['tile']} {scene['date'] or '-'} {scene['scene_id']}: {samples}; {decided}")
    return "\n".join(lines)
