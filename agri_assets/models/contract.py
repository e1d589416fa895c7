"""The contract that travels with weights: what a model must be fed, so that a mismatch is refused, not predicted."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from agri_assets.errors import ModelError
from agri_assets.loading.classes import Classes
from agri_assets.models.registry import Framework
from agri_assets.store.commit import read_json, write_json
from agri_assets.training.recipe import ModelName

CONTRACT_FILE = "contract.json"

OFFSET_CONVENTIONS = {
    "reflectance": "reflectance = DN / 10000, offset removed, 0 = nodata",
    "dn8": "8-bit digital numbers as stored in the archive",
}
"""What a stored count means, by unit."""


class ModelContract(BaseModel):
    """What a trained model is and expects.

    Attributes:
        model: Name of the network.
        framework: What it is written in.
        collection: The collection it was trained on.
        bands: Band names in the order of its input.
        units: `reflectance` (counts of 1/10000) or `dn8`.
        offset_convention: What a stored count means.
        mean: Per band, over the train split, in stored counts.
        std: The same for the standard deviation.
        tile_size: Edge of a tile in pixels.
        split_fingerprint: The split it was trained on.
        proof: How far that split is known to be disjoint.
        options: Arguments the network was built with.
        classes: What its outputs stand for; empty for a single logit of agricultural.
        test_orientations: Whether predictions are means over the eight orientations of a tile.
        parameters: Trainable parameters.
        weights_digest: SHA-256 (hex) of `weights.safetensors`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: ModelName
    framework: Framework
    collection: str
    bands: tuple[str, ...]
    units: str
    offset_convention: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    tile_size: int
    split_fingerprint: str
    proof: str
    options: dict[str, int | float | bool | str]
    classes: Classes = ()
    test_orientations: bool = False
    parameters: int
    weights_digest: str

    def save(self, folder: Path) -> None:
        """Write `contract.json` into a run folder, atomically."""
        write_json(folder / CONTRACT_FILE, self.model_dump(mode="json"))

    @classmethod
    def load(cls, folder: Path) -> "ModelContract":
        """Read the contract of a run folder.

        Raises:
            ModelError: There is none, or it is not a contract.
        """
        path = folder / CONTRACT_FILE
        if not path.exists():
            raise ModelError(f"{path}: no such file; weights without their contract cannot be used, train again")
        try:
            return cls.model_validate(read_json(path))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = ".".join(str(part) for part in first["loc"])
            raise ModelError(f"{path}: not a model contract ({name}: {first['msg']}); train again") from None

    def require_match(self, what: str, bands: Sequence[str], units: str, tile_size: int) -> None:
        """Refuse data that the model was not trained for.

        Args:
            what: Name of the data, for the message.
            bands: Its band names, in order.
            units: Its units; they fix the offset convention.
            tile_size: Edge of its tiles in pixels.

        Raises:
            ModelError: Bands, units, offset convention or tile size differ.
        """
        convention = OFFSET_CONVENTIONS.get(units, f"unknown units {units!r}")
        pairs = (
            ("bands", ",".join(self.bands), ",".join(bands)),
            ("units", self.units, units),
            ("offset convention", self.offset_convention, convention),
            ("tile size", str(self.tile_size), str(tile_size)),
        )
        for name, wanted, found in pairs:
            if wanted != found:
                raise ModelError(
                    f"{what}: {name} {found} do not fit {self.model} of {self.collection}, trained on {wanted}; "
                    "use data of that kind or train on this one"
                )
