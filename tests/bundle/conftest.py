"""Tiny trained-looking runs and bundles of them, made once: an export takes seconds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agri_assets.bundle.contract import INT8_FILE, ONNX_FILE, Agreement, BundleContract, Figures, Int8
from agri_assets.bundle.export import export_onnx
from agri_assets.bundle.quantize import quantize
from agri_assets.loading.classes import agricultural_logit
from agri_assets.models.contract import OFFSET_CONVENTIONS, ModelContract
from agri_assets.models.predictor import load_predictor
from agri_assets.models.registry import MODELS, build_network
from agri_assets.models.weights import WEIGHTS_FILE, get_weights, load_weights, parameter_count, save_weights
from agri_assets.samples.writer import write_samples
from agri_assets.scenes.settings import CloudSettings
from agri_assets.store.fingerprint import file_digest
from tests.evaluation import studies as made_studies

TINY = {"trunk": "test_resnet", "stride": 4, "width": 16, "depth": 1, "heads": 2}
"""Options of the hybrid that make it the smallest network there is."""

LAST_LAYER = ("backbone.head.weight", "backbone.classifier.weight", "logit/kernel")


def write_run(folder: Path, model="cnn_vit_hybrid", bands=("B04", "B08", "B11"), options=TINY, **known) -> Path:
    """An untrained model as a finished run would leave it, whose probabilities differ from tile to tile."""
    framework, edge, classes = MODELS[model].framework, known.pop("tile_size", 32), known.get("classes", ())
    network = build_network(model, len(bands), edge, options, len(classes) or 1)
    contract = ModelContract(
        **{
            "model": model,
            "framework": framework,
            "collection": "tiny",
            "bands": bands,
            "units": "reflectance",
            "offset_convention": OFFSET_CONVENTIONS["reflectance"],
            "mean": tuple(1500.0 + 100 * band for band in range(len(bands))),
            "std": (900.0,) * len(bands),
            "tile_size": edge,
            "split_fingerprint": "f" * 64,
            "proof": "proved",
            "options": options,
            "parameters": parameter_count(network, framework),
            "weights_digest": "",
            **known,
        }
    )
    _save(folder, contract, get_weights(network, framework))
    _spread(folder, contract)
    return folder


def _save(folder: Path, contract: ModelContract, arrays) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(folder / WEIGHTS_FILE, arrays)
    contract.model_copy(update={"weights_digest": file_digest(folder / WEIGHTS_FILE)}).save(folder)


def _spread(folder: Path, contract: ModelContract) -> None:
    """Change the last layer so that logits of random tiles lie around 0 and differ by about one."""
    outputs = load_predictor(folder).forward(random_tiles(16, contract))
    arrays = load_weights(folder / WEIGHTS_FILE)
    (weight,) = (name for name in arrays if name.endswith(LAST_LAYER))
    bias = weight.replace("weight", "bias").replace("kernel", "bias")
    scale = 1 / agricultural_logit(outputs, contract.classes).std()
    arrays[bias] = ((arrays[bias] - outputs.mean(axis=0)) * scale).astype(np.float32)
    arrays[weight] = (arrays[weight] * scale).astype(np.float32)
    _save(folder, contract, arrays)


def random_tiles(count: int, contract: ModelContract, seed: int = 0) -> np.ndarray:
    """Tiles of different brightness, with pixels without data."""
    random = np.random.default_rng(seed)
    shape = (count, len(contract.bands), contract.tile_size, contract.tile_size)
    bright = random.uniform(0.2, 1.5, (count, len(contract.bands), 1, 1))
    tiles = np.clip(random.normal(2000, 700, shape) * bright, 1, 12000).astype(np.uint16)
    tiles[0, :, :5] = 0
    return tiles


def write_bundle(folder: Path, run: Path, **known) -> BundleContract:
    """A bundle of a run, its figures made up."""
    folder.mkdir(parents=True)
    trained = ModelContract.load(run)
    temperature = known.get("temperature", 1.0)
    export_onnx(run, temperature, folder / ONNX_FILE)
    batches = (random_tiles(8, trained, seed) for seed in range(4))
    quantize(folder / ONNX_FILE, folder / INT8_FILE, batches)
    half = {"roc_auc": 0.9, "roc_auc_int8": 0.9, "accuracy": 0.8, "accuracy_int8": 0.8}
    contract = BundleContract(
        **{
            **dict(trained),
            "run": "0123456789ab",
            "pixel_size": 10.0,
            "threshold": 0.5,
            "temperature": temperature,
            "resampling": "nearest",
            "clouds": CloudSettings(),
            "min_clear": 0.5,
            "min_valid": 0.95,
            "test": Figures(report="0" * 12, n=1, positives=1, cells=1, values={}, ci95={}),
            "agreement": Agreement(tiles=1, network=0.0, stored=0.0),
            "int8": Int8(calibration=32, tiles=1, speedup=1.0, tiles_per_s=1.0, shipped=True, **half),
            "files": {name: file_digest(folder / name) for name in (ONNX_FILE, INT8_FILE)},
            "software": {},
            "licence": "MIT",
            **known,
        }
    )
    contract.save(folder)
    return contract


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "tiny")


@pytest.fixture(scope="session")
def bundle(tmp_path_factory, tiny_run) -> Path:
    """A bundle for B04, B08 and B11 that no test may change."""
    folder = tmp_path_factory.mktemp("bundles") / "tiny"
    write_bundle(folder, tiny_run, temperature=1.7, clouds=CloudSettings(dilate_m=40))
    return folder


@pytest.fixture(scope="session")
def products(tmp_path_factory) -> list[Path]:
    """A clear and a cloudy sample product of one tile, 384 px."""
    folder = tmp_path_factory.mktemp("products")
    write_samples(folder, ["31TCJ"], dates=2, size=384, cloudy_dates=1, damaged=0)
    return sorted(folder.glob("*.SAFE"), key=lambda path: path.name[11:19])


@pytest.fixture(scope="session")
def studies():
    return made_studies


@pytest.fixture(scope="session")
def made_run():
    """The function that writes a run."""
    return write_run


@pytest.fixture(scope="session")
def tiles():
    """The function that makes tiles up."""
    return random_tiles


@pytest.fixture
def changed_bundle(bundle, tmp_path):
    """A function that makes a bundle whose contract says something else."""

    def change(**known) -> Path:
        folder = tmp_path / "changed"
        folder.mkdir()
        for name in (ONNX_FILE, INT8_FILE):
            (folder / name).symlink_to(bundle / name)
        BundleContract.load(bundle).model_copy(update=known).save(folder)
        return folder

    return change


@pytest.fixture(scope="session")
def reported(studies, tmp_path_factory, made_run):
    """A collection of scenes with a tiny champion that was reported on."""
    from agri_assets.evaluation.champion import Champion
    from agri_assets.evaluation.records import read_metrics
    from agri_assets.evaluation.report import build_report
    from agri_assets.splits.summary import read_summary
    from agri_assets.store.commit import write_json
    from agri_assets.store.fingerprint import fingerprint, run_name
    from agri_assets.store.receipt import Outcome

    study = studies.scene_study(tmp_path_factory.mktemp("study")).with_settings(bootstrap=100)
    study = replace(study, collection=study.collection.model_copy(update={"licence": "CC BY 4.0, of a test"}))
    paths, split, made = study.paths, read_summary(study.paths), fingerprint(model="tiny")
    folder = paths.model_run("cnn_vit_hybrid", run_name(made))
    seen = {"mean": split.mean, "std": split.std, "collection": study.collection.name}
    made_run(folder, bands=split.bands, split_fingerprint=split.fingerprint, **seen)
    done = Outcome(path=folder, fingerprint=made, data_version=made, summary="made", metadata={"epochs": 3})
    write_json(folder / "complete.json", done.model_dump(mode="json"))
    write_json(paths.model("cnn_vit_hybrid") / "current.json", {"run": run_name(made), "fingerprint": made})
    build_report(study.collection, paths, "cnn_vit_hybrid")
    metrics = read_metrics(paths, "cnn_vit_hybrid")
    champion = Champion(
        model="cnn_vit_hybrid",
        run=metrics.run,
        report=metrics.report,
        metric="roc_auc",
        value=metrics.roc_auc,
        threshold=metrics.threshold,
        temperature=metrics.temperature,
        split_fingerprint=split.fingerprint,
        decided="2024-01-01",
    )
    write_json(paths.champion, champion.model_dump(mode="json"))
    return study
