"""`check_splits`: the proof of a recorded split, done again by whoever is about to use it."""

import math
from dataclasses import dataclass

import pandas as pd

from agri_assets.config import Collection
from agri_assets.errors import SplitError
from agri_assets.splits.archive_proof import BASIS, archive_terms, prove_archive
from agri_assets.splits.assignments import read_assignments
from agri_assets.splits.inputs import SplitInputs, listed_roles, read_indexes, split_inputs
from agri_assets.splits.proof import prove_rows, prove_scenes, prove_strength
from agri_assets.splits.settings import Role
from agri_assets.splits.summary import (
    Proof,
    RoleCount,
    SplitSummary,
    digest_rows,
    digest_train,
    materialise,
    read_summary,
)
from agri_assets.store.layout import CollectionPaths


@dataclass(frozen=True)
class Proved:
    """What the proof of a collection's assignments found.

    Attributes:
        rows: The assigned samples, with the columns of the index.
        proof: Overall.
        detail: Per pair of roles.
        basis: Per pair of roles, in words.
        counts: Per role.
        min_distance_m: Per pair of roles; only of samples on known ground.
        warnings: What must be said wherever scores are shown.
    """

    rows: pd.DataFrame
    proof: Proof
    detail: dict[str, Proof]
    basis: dict[str, str]
    counts: dict[Role, RoleCount]
    min_distance_m: dict[str, float | None]
    warnings: tuple[str, ...]


def check_splits(collection: Collection, paths: CollectionPaths) -> SplitSummary:
    """Prove the recorded split again from `assignments.parquet` and the tile indexes.

    Returns:
        The recorded summary, now known to hold.

    Raises:
        SplitError: There is no split, it is stale, it was changed since it was proved, or the proof fails.
    """
    summary, inputs = read_summary(paths), split_inputs(collection, paths)
    again = materialise(paths.collection)
    if summary.fingerprint != inputs.fingerprint:
        changed = sorted({*summary.cubes.items()} ^ {*inputs.cubes.items()})
        what = f"the cubes of {', '.join(sorted({tile for tile, _ in changed}))}" if changed else "its settings"
        raise SplitError(f"{paths.split_summary}: stale, {what} changed since the split was made; {again}")
    assignments, index = read_assignments(paths), read_indexes(paths, inputs)
    proved = prove(collection, inputs, assignments, index)
    if digest_rows(assignments) != summary.assignments_digest:
        raise SplitError(f"{paths.assignments}: changed since it was proved; {again}")
    found = (proved.proof, proved.detail, proved.basis, proved.counts, proved.min_distance_m)
    said = (summary.proof, summary.proof_detail, summary.proof_basis, summary.counts, summary.min_distance_m)
    if found != said or digest_train(assignments) != summary.train_digest:
        raise SplitError(f"{paths.split_summary}: does not describe {paths.assignments.name}; {again}")
    return summary


def prove(collection: Collection, inputs: SplitInputs, assignments: pd.DataFrame, index: pd.DataFrame) -> Proved:
    """Prove assignments against the tile indexes: by geometry where the ground is known, else by lists.

    Raises:
        SplitError: The proof fails, or a split is too weak.
    """
    rows = prove_rows(assignments, index)
    if collection.is_archive:
        listed = listed_roles(collection)
        found = prove_archive(rows, listed)
        counts = prove_strength(assignments, collection.split.min_cells, archive_terms(index, listed))
        return Proved(rows, found.proof, found.detail, found.basis, counts, found.least_m, found.warnings)
    diagonal = math.sqrt(2) * collection.tile_size * max(grid.resolution for grid in inputs.grids.values())
    measured = prove_scenes(rows, diagonal, index.drop_duplicates("tile_id")[["tile", "geometry"]])
    counts = prove_strength(assignments, collection.split.min_cells)
    detail: dict[str, Proof] = dict.fromkeys(measured, "proved")
    return Proved(rows, "proved", detail, dict.fromkeys(measured, BASIS["ground"]), counts, measured, ())
