"""How much a random split would flatter a model: the same recipe and samples, dealt at random instead of by ground.

Neighbouring positions look alike, and so does one position on two dates. A random split has them on both sides, so that
its scores tell how well a model remembers ground rather than how well it knows ground it has never seen.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from agri_assets.config import Collection
from agri_assets.evaluation.metrics import Scores, choose_threshold, score
from agri_assets.evaluation.predictions import predict
from agri_assets.evaluation.temperature import choose_temperature, scaled
from agri_assets.loading.samples import SampleTable, joined, load_samples
from agri_assets.models.predictor import load_predictor
from agri_assets.splits.settings import ROLES, Role
from agri_assets.store.commit import read_json, write_json
from agri_assets.store.fingerprint import fingerprint, run_name
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import find_outcome
from agri_assets.training.plan import TrainingPlan, plan_training
from agri_assets.training.recipe import ModelName

CODE_VERSION = "1"


class RandomSplit(BaseModel):
    """What a model scores when the samples of its split are dealt at random.

    Attributes:
        run: The run on the split itself that this is to be held against.
        scores: On the random test samples, at the threshold chosen on the random val samples.
    """

    model_config = ConfigDict(frozen=True)

    run: str
    scores: Scores


def record_path(paths: CollectionPaths, model: str) -> Path:
    """Where the record of a model lies, beside its reports."""
    return paths.report(model) / "random_split.json"


def read_random_split(paths: CollectionPaths, model: str, run: str) -> RandomSplit | None:
    """The record to hold against a run; None where there is none."""
    path = record_path(paths, model)
    found = RandomSplit.model_validate(read_json(path)) if path.exists() else None
    return found if found is not None and found.run == run else None


def deal(tables: dict[Role, SampleTable], seed: int) -> dict[Role, SampleTable]:
    """The samples of all splits dealt anew at random, as many to each as before."""
    pool, dealt, start = joined([tables[role] for role in ROLES]), {}, 0
    order = np.random.default_rng(seed).permutation(len(pool))
    for role in ROLES:
        end = start + len(tables[role])
        # in the order of the table, which is that of the pixels
        dealt[role] = pool.take(np.sort(order[start:end]))
        start = end
    return dealt


def score_random_split(collection: Collection, paths: CollectionPaths, model: ModelName) -> RandomSplit:
    """Train a model's recipe on a random split of the same samples, score it there, and write the record.

    An interrupted training goes on when this is called again. The live model, its report and the champion stay.

    Args:
        collection: The collection.
        paths: Where it lies.
        model: One of its models.

    Raises:
        SplitError: There is no split, or its proof fails.
        TrainingError: The loss is not finite.
    """
    from agri_assets.training.run import train_on

    plan = plan_training(collection, paths, model)
    dealt = deal({role: load_samples(paths, role) for role in ROLES}, collection.split.seed)
    probe = _probe(paths, model, plan)
    train_on(collection, paths, model, probe, (dealt["train"], dealt["val"]))
    predictor = load_predictor(probe.folder)
    cubes = {tile: paths.cube(tile) for tile in dealt["train"].tiles}
    val, test = (predict(predictor, dealt[role], cubes, f"{probe.name}: {role}") for role in ROLES[1:])
    rule, known = collection.evaluation, dealt["val"]
    # as the report does, so that all figures can be held against each other
    temperature = choose_temperature(known.label.astype(np.int64), val, known.cell) if rule.temperature else 1.0
    val, test = scaled(val, temperature), scaled(test, temperature)
    threshold = choose_threshold(known.label, val, rule.threshold_rule, rule.wanted_recall)
    record = RandomSplit(run=plan.run, scores=score(dealt["test"].label, test, threshold))
    write_json(record_path(paths, model), record.model_dump(mode="json"))
    return record


def _probe(paths: CollectionPaths, model: ModelName, plan: TrainingPlan) -> TrainingPlan:
    """The run of the random split, in a folder of its own."""
    full = fingerprint(stage="random_split", code=CODE_VERSION, training=plan.fingerprint)
    folder = paths.model(model) / f"random-{run_name(full)}"
    done = find_outcome(folder / "complete.json", full)
    name = f"{plan.name} on a random split"
    return replace(plan, name=name, fingerprint=full, run=folder.name, folder=folder, done=done)
