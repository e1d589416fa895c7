"""What evaluation writes for others to read: `metrics.json` and the pointers to the live report."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agri_assets.errors import EvaluationError
from agri_assets.evaluation.intervals import FEW_CELLS, Assessed, Interval
from agri_assets.evaluation.metrics import Scores
from agri_assets.store.commit import read_json
from agri_assets.store.layout import CollectionPaths


class ClassScores(BaseModel):
    """One land-cover class of the test split.

    Attributes:
        n: Samples.
        positives: Samples whose label is agricultural.
        called: Share called agricultural.
        accuracy: Share called rightly.
    """

    model_config = ConfigDict(frozen=True)

    n: int
    positives: int
    called: float
    accuracy: float


class Metrics(Assessed):
    """`metrics.json` (contract 5): a model's figures on test, at the threshold chosen on val.

    Attributes:
        run: The training run whose weights were used.
        report: The report this belongs to.
        parameters: Trainable and other weights of the network.
        proof: How sure it is that test is disjoint from train: `proved`, `given` or `none`.
        cells: Ground cells of test: what the intervals leave out.
        temperature: What the logits of the model were divided by; 1 where that does not help on val.
        ece_unscaled: Calibration error of the model's own probabilities.
        ece_unscaled_ci95: Its 95 % interval.
        by_class: Figures per class of the tile index.
        by_tile: The same per tile, where there are several.
        by_month: The same per month of acquisition, where there are several.
        by_clear: The same by share of clear ground, where it differs.
        without: The figures when one agricultural class is left out of test, by that class.
        ambiguous: Samples on test's ground whose label is ambiguous; none of them counts above.
        with_ambiguous: The figures on test and these together, each labelled by what most of it is.
        random_split: The figures of the same recipe on a random split of the same samples, where that was asked for.
        data_version: Of the pixels: a digest of the data versions of all cubes in the split.
    """

    collection: str
    model: str
    framework: str
    run: str
    report: str
    parameters: int
    split: str = "test"
    proof: str
    threshold: float
    threshold_rule: str
    cells: int
    temperature: float = 1.0
    ece_unscaled: float | None = None
    ece_unscaled_ci95: Interval | None = None
    by_class: dict[str, ClassScores] = Field(default_factory=dict)
    by_tile: dict[str, ClassScores] = Field(default_factory=dict)
    by_month: dict[str, ClassScores] = Field(default_factory=dict)
    by_clear: dict[str, ClassScores] = Field(default_factory=dict)
    without: dict[str, Assessed] = Field(default_factory=dict)
    ambiguous: int = 0
    with_ambiguous: Assessed | None = None
    random_split: Scores | None = None
    split_fingerprint: str
    data_version: str


class Current(BaseModel):
    """A pointer (`current.json`) to the live run of a model or of a report."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    run: str
    fingerprint: str


def warnings_for(metrics: Metrics, split: tuple[str, ...], kind: str) -> tuple[str, ...]:
    """What people must be told wherever these scores are shown.

    Args:
        metrics: The scores.
        split: Warnings of the split itself, such as that its disjointness is not proved.
        kind: The collection's kind of source.
    """
    told = list(split)
    if kind == "sample":
        told.insert(
            0, "Made sample scenes: these figures show that the path works and say nothing about the real world."
        )
    if metrics.cells < FEW_CELLS:
        told.append(
            f"Test has only {metrics.cells} ground cells (fewer than {FEW_CELLS}): its intervals are unreliable."
        )
    return tuple(told)


def read_current(path: Path) -> Current | None:
    """The pointer at `path`; None where there is none.

    Raises:
        EvaluationError: The file is not a pointer.
    """
    if not path.exists():
        return None
    try:
        return Current.model_validate(read_json(path))
    except ValidationError:
        raise EvaluationError(f"{path}: not a pointer to a run; delete it and materialise again") from None


def read_metrics(paths: CollectionPaths, model: str) -> Metrics | None:
    """The metrics of a model's live report; None where there is no report.

    Raises:
        EvaluationError: The pointer or the metrics are damaged.
    """
    current = read_current(paths.report(model) / "current.json")
    if current is None:
        return None
    return read_report(paths.report_run(model, current.run))


def read_report(folder: Path) -> Metrics:
    """The metrics of one report (`reports/<model>/<run>`).

    Raises:
        EvaluationError: The metrics are damaged.
        StoreError: There are none.
    """
    path = folder / "metrics.json"
    try:
        return Metrics.model_validate(read_json(path))
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise EvaluationError(f"{path}: {field} is missing or wrong; delete the folder and materialise again") from None


def command(collection: str, asset: str) -> str:
    """The command that makes an asset, for messages."""
    return f"dagster asset materialize -m agri_assets.definitions --select key:{collection}/{asset}"
