"""The model card: what a bundle is, how good it is and where it ends, for people who were not there."""

from collections.abc import Iterable, Sequence

from agri_assets.bundle.contract import INPUT, INT8_FILE, ONNX_FILE, OUTPUT, BundleContract
from agri_assets.evaluation.metrics import METRICS, MetricName
from agri_assets.evaluation.records import ClassScores, Metrics
from agri_assets.models.weights import WEIGHTS_FILE

NAMES: dict[MetricName, str] = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC (average precision)",
    "brier": "Brier score",
    "ece": "expected calibration error",
}

PROOFS = {
    "proved": "proved disjoint on the ground from train",
    "given": "by published lists; that it is disjoint on the ground from train is not proved",
    "none": "carved out at random: its figures are optimistic",
}


def model_card(contract: BundleContract, metrics: Metrics, picture: str | None) -> str:
    """The card as Markdown.

    Args:
        contract: Of the bundle.
        metrics: Of its report.
        picture: Name of a picture of the report in the bundle.
    """
    parts = (
        _head(contract),
        *(f"> **Note.** {warning}" for warning in contract.warnings),
        _run(contract),
        _figures(contract, metrics),
        f"![ROC curve on the test split]({picture})" if picture else "",
        _classes(metrics.by_class),
        _int8(contract),
        _input(contract),
        _training(contract),
        _limits(contract),
        _files(contract),
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(contract: BundleContract) -> str:
    ground = f" ({_metres(contract)})" if contract.pixel_size else ""
    return (
        f"# {contract.model} of {contract.collection}\n\n"
        f"Tells for every square of {contract.tile_size} x {contract.tile_size} px{ground} of a Sentinel-2 scene "
        f"whether it is agricultural land. Run {contract.run} of a {contract.framework} network with "
        f"{contract.parameters:,} trainable parameters. Licence and attribution: {contract.licence}."
    )


def _metres(contract: BundleContract) -> str:
    size = contract.pixel_size or 0.0
    return f"{contract.tile_size * size:g} m"


def _run(contract: BundleContract) -> str:
    if contract.units != "reflectance":
        return (
            f"## Use\n\nIts input are {contract.units} counts, so `agri-assets predict`, which reads reflectance, "
            f"refuses it; run `{ONNX_FILE}` on such tiles with onnxruntime."
        )
    int8 = contract.int8
    speed = f"{int8.speedup:.2f} times as fast on the machine that made this"
    fast = f"\n\nWith `--int8` it is {speed}." if int8.shipped else ""
    return (
        "## Use\n\n```\npip install '.[predict]'   # in a clone of agri-assets\n"
        f"agri-assets predict . SCENE --out map.tif\n```\n\n"
        "`SCENE` is a `.SAFE` directory or its zip, a STAC item, or the sidecar of a GeoTIFF stack. It needs neither "
        f"torch nor Dagster. A scene of other bands is refused.{fast}"
    )


def _figures(contract: BundleContract, metrics: Metrics) -> str:
    (tn, fp), (fn, tp) = metrics.confusion
    rows = []
    for name in METRICS:
        value, interval = metrics.value(name), metrics.ci95.get(name)
        shown = "undefined" if value is None else f"{value:.4f}"
        rows.append((NAMES[name], shown, f"{interval[0]:.4f} to {interval[1]:.4f}" if interval else ""))
    return (
        f"## How good it is\n\nOn {metrics.n:,} test tiles of {metrics.cells:,} ground cells, {metrics.positives:,} of "
        f"them agricultural. The test split is {PROOFS.get(metrics.proof, metrics.proof)}. Intervals are for 95 %, by "
        "a jackknife of ground cells.\n\n"
        f"{_table(('figure', 'value', '95 % interval'), rows)}\n\n"
        f"At the threshold {contract.threshold:.4f}, chosen on val by the rule `{metrics.threshold_rule}`: {tp:,} "
        f"found, {fn:,} missed, {fp:,} false alarms, {tn:,} rightly left out. Logits are divided by "
        f"{contract.temperature:.4g}."
    )


def _classes(classes: dict[str, ClassScores]) -> str:
    if not classes:
        return ""
    rows = [
        (name, f"{one.n:,}", f"{one.positives:,}", f"{one.called:.1%}", f"{one.accuracy:.1%}")
        for name, one in classes.items()
    ]
    header = ("class", "tiles", "agricultural", "called agricultural", "called rightly")
    return f"### By class\n\n{_table(header, rows)}"


def _int8(contract: BundleContract) -> str:
    found = contract.int8
    auc = ""
    if found.roc_auc is not None and found.roc_auc_int8 is not None:
        auc = f"ROC AUC {found.roc_auc:.4f} becomes {found.roc_auc_int8:.4f}, "
    fate = "" if found.shipped else " That is too much, and so it is not here."
    return (
        f"### The 8-bit network\n\nOn {found.tiles:,} test tiles {auc}accuracy {found.accuracy:.4f} becomes "
        f"{found.accuracy_int8:.4f}. It makes {found.tiles_per_s:.0f} tiles a second on the processors of the machine "
        f"that made it, {found.speedup:.2f} times as many as the float32 network.{fate}"
    )


def _input(contract: BundleContract) -> str:
    rows = [
        (band, f"{mean:.1f}", f"{std:.1f}")
        for band, mean, std in zip(contract.bands, contract.mean, contract.std, strict=True)
    ]
    edge = contract.tile_size
    return (
        f"## What it takes\n\n`{INPUT}`: uint16 (tiles, {len(contract.bands)}, {edge}, {edge}), {contract.units} in "
        f"stored counts ({contract.offset_convention}), in this order of bands. `{OUTPUT}`: float32 (tiles,), the "
        "probability of agricultural. Standardisation, temperature and all else is within the graph.\n\n"
        f"{_table(('band', 'mean of train', 'standard deviation'), rows)}"
    )


def _training(contract: BundleContract) -> str:
    options = ", ".join(f"{name} {value}" for name, value in contract.options.items()) or "none"
    classes = ", ".join(target.name for target in contract.classes) or "agricultural or not"
    turns = "; every tile is looked at in its eight orientations" if contract.test_orientations else ""
    return (
        f"## How it was made\n\nTrained on the train split of the collection {contract.collection} (split "
        f"`{contract.split_fingerprint[:12]}`), options: {options}; it learned the classes: {classes}{turns}.\n\n"
        f"The ONNX network differs from the trained one by at most {contract.agreement.network:.1e} in probability, "
        f"and from the stored predictions by {contract.agreement.stored:.1e}, on {contract.agreement.tiles:,} test "
        f"tiles. Made with {', '.join(f'{name} {version}' for name, version in contract.software.items())}."
    )


def _limits(contract: BundleContract) -> str:
    told = [
        "It says nothing of ground, seasons and sensors that are unlike those it was trained on.",
        f"A tile is one answer: fields much smaller than {contract.tile_size} px vanish in it.",
        "Areas counted from its map are biased by its errors; adjust them by a test sample.",
    ]
    return "## Limits\n\n" + "\n".join(f"- {one}" for one in told)


def _files(contract: BundleContract) -> str:
    notes = {
        WEIGHTS_FILE: "the trained weights",
        ONNX_FILE: "the network, float32",
        INT8_FILE: "the network, 8-bit",
    }
    rows = [(f"`{name}`", notes.get(name, ""), f"`{digest[:16]}`") for name, digest in contract.files.items()]
    return f"## Files\n\n{_table(('file', 'what', 'SHA-256 begins'), rows)}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
