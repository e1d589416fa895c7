"""`check_splits`: the proof of a recorded split, done again by whoever is about to use it."""

import math
from dataclasses import dataclass
from pathlib import Path

from agri_assets.config import Collection
from agri_assets.errors import SplitError
from agri_assets.objects import local_copy
from agri_assets.splits.archive_proof import BASIS, archive_terms, cell_words, prove_archive
from agri_assets.splits.archive_rows import prove_rows
from agri_assets.splits.assignments import read_assignments
from agri_assets.splits.copies import prove_no_copies
from agri_assets.splits.inputs import SplitInputs, listed_roles, read_archive_index, split_inputs
from agri_assets.splits.proof import prove_scenes, prove_strength
from agri_assets.splits.rows import paired
from agri_assets.splits.statistics import statistics_of_train
from agri_assets.splits.summary import Proof, SplitSummary, materialise, read_summary
from agri_assets.splits.tally import Tally
from agri_assets.store.layout import CollectionPaths


@dataclass(frozen=True)
class Proved:
    """What the proof of a collection's assignments found.

    Attributes:
        tally: Counts and digests.
        proof: Overall.
        detail: Per pair of roles.
        basis: Per pair of roles, in words.
        min_distance_m: Per pair of roles; only of samples on known ground.
        warnings: What must be said wherever scores are shown.
        cells: What its cells are called.
    """

    tally: Tally
    proof: Proof
    detail: dict[str, Proof]
    basis: dict[str, str]
    min_distance_m: dict[str, float | None]
    warnings: tuple[str, ...]
    cells: str = "ground cells"


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
    if not paths.assignments.exists():
        raise SplitError(f"{paths.assignments}: no such file; {again}")
    with local_copy(paths.assignments) as file:
        proved = prove(collection, paths, inputs, file)
    if proved.tally.digest != summary.assignments_digest:
        raise SplitError(f"{paths.assignments}: changed since it was proved; {again}")
    shown = (proved.proof, proved.detail, proved.basis, proved.tally.roles, proved.min_distance_m)
    told = (summary.proof, summary.proof_detail, summary.proof_basis, summary.counts, summary.min_distance_m)
    found = (*shown, collection.bands, collection.tile_size, inputs.cubes)
    said = (*told, summary.bands, summary.tile_size, summary.cubes)
    if found != said or proved.tally.train_digest != summary.train_digest:
        raise SplitError(f"{paths.split_summary}: does not describe {paths.assignments.name}; {again}")
    return summary


def check_statistics(paths: CollectionPaths, summary: SplitSummary) -> None:
    """Take the recorded mean and standard deviation again from the pixels of the train samples, all of which are read.

    Args:
        paths: Where the collection lies.
        summary: What `check_splits` returned.

    Raises:
        SplitError: They are of other pixels.
        CubeError: Pixels are gone or cannot be read.
    """
    with local_copy(paths.assignments) as file:
        found = statistics_of_train(file, paths, summary.cubes, summary.counts["train"].n, summary.bands)
    # sums are exact, so that every reading of the same pixels gives the same figures
    wrong = [
        f"{band} has mean {ours[0]:.6g} and std {ours[1]:.6g}, not {theirs[0]:.6g} and {theirs[1]:.6g}"
        for band, ours, theirs in zip(
            summary.bands,
            zip(found.mean, found.std, strict=True),
            zip(summary.mean, summary.std, strict=True),
            strict=True,
        )
        if ours != theirs
    ]
    if wrong:
        raise SplitError(
            f"{paths.split_summary}: its statistics are not those of the train split ({wrong[0]}); delete it and "
            f"{materialise(paths.collection)}"
        )


def prove(collection: Collection, paths: CollectionPaths, inputs: SplitInputs, file: Path) -> Proved:
    """Prove assignments against the tile indexes: by geometry where the ground is known, else by lists.

    Args:
        collection: The collection.
        paths: Where it lies.
        inputs: What `split_inputs` found.
        file: The assignments, recorded or not yet.

    Raises:
        SplitError: The proof fails, or a split is too weak.
    """
    if collection.is_archive:
        return _prove_archive(collection, paths, inputs, file)
    diagonal = math.sqrt(2) * collection.tile_size * max(grid.resolution for grid in inputs.grids.values())
    tally, measured = prove_scenes(file, paths, tuple(inputs.cubes), diagonal)
    prove_no_copies(paths, tuple(inputs.cubes), tally.tiles)
    prove_strength(tally.roles, collection.split.min_cells)
    detail: dict[str, Proof] = dict.fromkeys(measured, "proved")
    return Proved(tally, "proved", detail, dict.fromkeys(measured, BASIS["ground"]), measured, ())


def _prove_archive(collection: Collection, paths: CollectionPaths, inputs: SplitInputs, file: Path) -> Proved:
    index, listed, tally = read_archive_index(paths), listed_roles(collection), Tally()
    found = prove_archive(prove_rows(read_assignments(paths, file), index), listed)
    for pair in paired(file, paths, tuple(inputs.cubes), ()):
        tally.add(pair.assigned)
    prove_strength(tally.roles, collection.split.min_cells, archive_terms(index, listed))
    return Proved(tally, found.proof, found.detail, found.basis, found.least_m, found.warnings, cell_words(index))
