"""What a bundle is and expects, so that other pixels are refused; read with nothing but the base install."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from agri_assets.cube.schema import Resampling
from agri_assets.errors import ModelError, StoreError
from agri_assets.models.contract import CONTRACT_FILE, ModelContract
from agri_assets.scenes.settings import CloudSettings
from agri_assets.store.commit import read_json, write_json
from agri_assets.store.fingerprint import file_digest

ONNX_FILE, INT8_FILE, CARD_FILE = "model.onnx", "model.int8.onnx", "README.md"
"""Files of a bundle besides its contract and its weights."""

INPUT, OUTPUT = "counts", "probability"
"""Names in the ONNX graphs: stored counts (b, bands, edge, edge) as uint16, and what is probable of them (b,)."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Figures(_Frozen):
    """The model's figures on the test split, as its report has them.

    Attributes:
        report: The report they are from.
        n: Samples.
        positives: Agricultural ones.
        cells: Ground cells.
        values: Each figure by name; None where it is undefined.
        ci95: Its 95 % interval.
    """

    report: str
    n: int
    positives: int
    cells: int
    values: dict[str, float | None]
    ci95: dict[str, tuple[float, float] | None]


class Agreement(_Frozen):
    """How far probabilities of the same test tiles differ, at most.

    Attributes:
        tiles: How many were compared.
        network: Between `model.onnx` and the network it was made from.
        stored: Between `model.onnx` and the stored predictions.
    """

    tiles: int
    network: float
    stored: float


class Int8(_Frozen):
    """What the 8-bit variant costs and gains, on the same tiles.

    Attributes:
        calibration: Train tiles that its ranges are from.
        tiles: Test tiles that it was measured on.
        roc_auc: Of the stored predictions on these tiles; None where they hold one label only.
        roc_auc_int8: Of the variant.
        accuracy: Of the stored predictions, at the threshold.
        accuracy_int8: Of the variant.
        speedup: Tiles per second on the processors of the machine that made it, over those of `model.onnx`.
        tiles_per_s: Tiles per second of the variant.
        shipped: Whether it is in the bundle: not where it loses too much.
    """

    calibration: int
    tiles: int
    roc_auc: float | None
    roc_auc_int8: float | None
    accuracy: float
    accuracy_int8: float
    speedup: float
    tiles_per_s: float
    shipped: bool

    @property
    def loss(self) -> float:
        """Points of ROC AUC lost (1 point is 0.01); of accuracy where AUC is undefined."""
        if self.roc_auc is None or self.roc_auc_int8 is None:
            return 100 * (self.accuracy - self.accuracy_int8)
        return 100 * (self.roc_auc - self.roc_auc_int8)


class BundleContract(ModelContract):
    """`contract.json` of a bundle: the model's own contract, and what a map of it needs to know.

    Attributes:
        kind: Tells a bundle from a training run.
        run: The training run.
        pixel_size: Edge of a pixel in metres; None where the collection has no ground.
        threshold: From this probability on a tile is called agricultural.
        temperature: What the model's logits are divided by, within the graphs.
        resampling: How coarser bands are brought to the finest band's grid.
        clouds: Which classes of a scene's classification are not clear.
        min_clear: Tiles with a smaller clear share are not mapped.
        min_valid: Tiles with a smaller share of pixels with data are not mapped.
        test: Figures on the test split.
        warnings: What must be said wherever these figures are shown.
        agreement: That the ONNX network is the trained one.
        int8: What the 8-bit variant costs and gains.
        licence: Of weights and maps, and the attribution that the training data ask for.
        files: SHA-256 (hex) of the bundle's other files by name.
        software: Versions that the bundle was made with.
    """

    kind: Literal["agri-assets bundle"] = "agri-assets bundle"
    run: str
    pixel_size: float | None
    threshold: float
    temperature: float
    resampling: Resampling
    clouds: CloudSettings
    min_clear: float
    min_valid: float
    test: Figures
    warnings: tuple[str, ...] = ()
    agreement: Agreement
    int8: Int8
    licence: str
    files: dict[str, str]
    software: dict[str, str]

    @classmethod
    def load(cls, folder: Path) -> "BundleContract":
        """Read the contract of a bundle.

        Raises:
            ModelError: There is no bundle, or its contract is damaged or that of something else.
        """
        path = folder / CONTRACT_FILE
        if not path.exists():
            raise ModelError(f"{folder}: not a bundle (no {CONTRACT_FILE}); name a folder that the asset bundle wrote")
        try:
            found = read_json(path)
            if not isinstance(found, dict) or "kind" not in found:
                raise ModelError(f"{path}: no bundle's contract; name a folder that the asset bundle wrote")
            return cls.model_validate(found)
        except StoreError:
            raise ModelError(f"{path}: damaged, not JSON; copy the bundle again") from None
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = ".".join(str(part) for part in first["loc"])
            raise ModelError(f"{path}: damaged at {name} ({first['msg']}); copy the bundle again") from None

    def save(self, folder: Path) -> None:
        """Write `contract.json`, atomically."""
        write_json(folder / CONTRACT_FILE, self.model_dump(mode="json"))

    def require_file(self, folder: Path, name: str) -> Path:
        """A file of the bundle, held against its digest.

        Raises:
            ModelError: The bundle has none of this name, or it is not the one that was written.
        """
        path = folder / name
        if name not in self.files:
            raise ModelError(f"{folder}: has no {name}, since it lost too much; use {ONNX_FILE}")
        if not path.is_file():
            raise ModelError(f"{path}: no such file; copy the bundle again")
        if file_digest(path) != self.files[name]:
            raise ModelError(f"{path}: damaged, its digest is not the one in {CONTRACT_FILE}; copy the bundle again")
        return path
