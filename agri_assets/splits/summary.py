"""What a split says about itself: counts, proof, fingerprint, and the statistics of its train part."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from agri_assets.errors import SplitError
from agri_assets.splits.settings import Role
from agri_assets.store.commit import read_json
from agri_assets.store.layout import ARCHIVE_TILE, CollectionPaths

Proof = Literal["proved", "given", "none"]
"""By geometry; by published lists; not at all (carved at random, or by product)."""


class RoleCount(BaseModel):
    """How much a split holds: samples, agricultural samples, distinct cells (of an archive: or products, or images)."""

    model_config = ConfigDict(frozen=True)

    n: int
    positives: int
    cells: int


class SplitSummary(BaseModel):
    """The split's own record, `summary.json`.

    Attributes:
        fingerprint: Of what the split was made from.
        proof: How far train, val and test are known to be disjoint; that of the test split.
        proof_detail: The same per pair of roles, such as `train/test`.
        proof_basis: Per pair of roles, what it rests on, in words.
        counts: Per role.
        dropped: Samples that are in no split, by reason.
        bands: Band names in cube order.
        units: `reflectance` (counts of 1/10000) or `dn8`.
        mean: Per band, over the train split's valid pixels, in stored counts.
        std: Standard deviation per band, the same way.
        train_digest: Digest of the names of the train samples that `mean` and `std` come from, one after the other.
        assignments_digest: Digest of the content of `assignments.parquet`, row after row.
        min_distance_m: Least ground distance between footprints per pair of roles, as the proof measured it; None
            where the pair is farther apart than the proof looks.
        tile_size: Edge of a sample, in pixels.
        cubes: Data version of each tile's cube.
        seed: Salt of the assignment.
        resolution: H3 resolution of the cells.
        warnings: What must be said wherever scores of this split are shown.
    """

    model_config = ConfigDict(frozen=True)

    fingerprint: str
    proof: Proof
    proof_detail: dict[str, Proof]
    proof_basis: dict[str, str] = {}
    counts: dict[Role, RoleCount]
    dropped: dict[str, int]
    bands: tuple[str, ...]
    units: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    train_digest: str
    assignments_digest: str
    min_distance_m: dict[str, float | None]
    tile_size: int
    cubes: dict[str, str]
    seed: int
    resolution: int
    warnings: tuple[str, ...]


def read_summary(paths: CollectionPaths) -> SplitSummary:
    """The recorded summary of a collection's split; nothing is recomputed (see `check_splits`).

    Raises:
        SplitError: There is no split, or its summary is not one.
    """
    if not paths.split_summary.exists():
        raise SplitError(f"{paths.split_summary}: no such file; {materialise(paths.collection)}")
    try:
        return SplitSummary.model_validate(read_json(paths.split_summary))
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
        raise SplitError(
            f"{paths.split_summary}: not a split summary ({problem}); {materialise(paths.collection)}"
        ) from None


def materialise(collection: str, asset: str = "splits", tile: str = ARCHIVE_TILE) -> str:
    """The command that makes an asset of a collection (of one of its tiles), as the end of an error message."""
    of_tile = "" if tile == ARCHIVE_TILE else f" --partition {tile}"
    return f"run `dagster asset materialize -m agri_assets.definitions --select key:{collection}/{asset}{of_tile}`"
