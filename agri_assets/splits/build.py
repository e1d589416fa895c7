"""The stage `splits`: assign, prove, take the train statistics of what was proved, and write."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from agri_assets.config import Collection
from agri_assets.cube.open import cube_info
from agri_assets.errors import SplitError, StoreError
from agri_assets.splits.assign import assign_scenes
from agri_assets.splits.assignments import arrange, write_table
from agri_assets.splits.balance import furthest, group_tables
from agri_assets.splits.check import Proved, check_splits, prove
from agri_assets.splits.inputs import SplitInputs, listed_roles, read_archive_index, split_inputs
from agri_assets.splits.lists import assign_archive
from agri_assets.splits.picture import split_map
from agri_assets.splits.scenes_picture import scenes_map
from agri_assets.splits.settings import ROLES
from agri_assets.splits.statistics import statistics_of_train
from agri_assets.splits.summary import SplitSummary, read_summary
from agri_assets.splits.tally import digest_of
from agri_assets.store.commit import locked, staged, sweep, write_bytes, write_json
from agri_assets.store.fingerprint import fingerprint
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome, Scalar, Table, read_outcome, run_stage

__all__ = ["build_splits", "check_splits", "read_summary"]


def build_splits(collection: Collection, paths: CollectionPaths) -> Outcome:
    """Assign every sample of a collection to train, val, test or none, and prove that they are disjoint.

    A split whose files are no longer as they were recorded is made again.

    Raises:
        SplitError: There is no cube, a split lacks a class or cells, or the proof fails.
        CubeError: A tile index or pixels of the train split cannot be read.
        StoreError: Another process is making this split.
    """
    inputs = split_inputs(collection, paths)
    return run_stage(
        paths.receipt("splits"),
        inputs.fingerprint,
        lambda: _build(collection, paths, inputs),
        f"{collection.name}/splits",
        again=not _is_as_recorded(paths, inputs.fingerprint),
        lock=lambda: locked(paths.assignments, f"the split of {collection.name}"),
    )


def _is_as_recorded(paths: CollectionPaths, made_from: str) -> bool:
    """Whether the files of the split are those that its receipt speaks of; nothing is proved again."""
    try:
        receipt, summary = read_outcome(paths.receipt("splits")), read_summary(paths)
        if receipt.fingerprint != made_from or receipt.data_version != _data_version(summary):
            return False
        return digest_of(paths) == summary.assignments_digest
    except (SplitError, StoreError):
        return False


def _data_version(summary: SplitSummary) -> str:
    """Digest of all that a split says of itself, its assignments among it, but for what it was made from."""
    return fingerprint(summary=summary.model_dump(mode="json", exclude={"fingerprint"}))


@dataclass(frozen=True)
class Made:
    """A split whose assignments are written and proved.

    Attributes:
        proved: What the proof found.
        picture: PNG of what the ground is used for; None where no ground is known.
    """

    proved: Proved
    picture: bytes | None


def assign_and_prove(collection: Collection, paths: CollectionPaths, inputs: SplitInputs, file: Path) -> Made:
    """All of the stage but the statistics of the train pixels: assign, write the assignments, prove what was written.

    Tiles come one after the other; of each, one byte per position stays in memory, and nothing per sample.

    Args:
        collection: The collection.
        paths: Where it lies.
        inputs: What `split_inputs` found.
        file: Where to write the assignments: a file of this machine that nobody takes for the live one yet.

    Raises:
        SplitError: An index is missing, a split is too weak, or the proof fails.
    """
    title = f"{collection.name}: positions by split"
    if collection.is_archive:
        placed = _assign_archive(collection, paths, file)
        return Made(prove(collection, paths, inputs, file), split_map(placed, title) if len(placed) else None)
    maps = assign_scenes(paths, inputs.grids, collection.split, collection.tile_size, file)
    return Made(prove(collection, paths, inputs, file), scenes_map(maps, inputs.grids, collection.tile_size, title))


def _assign_archive(collection: Collection, paths: CollectionPaths, file: Path) -> pd.DataFrame:
    """Write the assignments of an archive; returns `split` and `geometry` of the positions on known ground."""
    index = read_archive_index(paths)
    index = index.join(assign_archive(index, listed_roles(collection), collection.split))
    write_table(file, arrange(index))
    return index.dropna(subset="geometry") if "geometry" in index else index.iloc[:0]


def _build(collection: Collection, paths: CollectionPaths, inputs: SplitInputs) -> Outcome:
    for target in (paths.assignments, paths.split_summary, paths.receipt("splits")):
        sweep(target)
    # the summary comes last: until it is there, the digest of the older one refuses the new assignments
    with staged(paths.assignments) as file:
        made = assign_and_prove(collection, paths, inputs, file)
        summary = _summary(collection, paths, inputs, made.proved, file)
    write_json(paths.split_summary, summary.model_dump(mode="json"))
    return _outcome(paths, summary, made)


def _summary(
    collection: Collection, paths: CollectionPaths, inputs: SplitInputs, proved: Proved, file: Path
) -> SplitSummary:
    """The split's record, with the statistics of the train pixels."""
    tally = proved.tally
    statistics = statistics_of_train(file, paths, inputs.cubes, tally.counts["train"], collection.bands)
    missing = tuple(f"tile {tile} is active but has no whole cube: left out of the split" for tile in inputs.missing)
    return SplitSummary(
        fingerprint=inputs.fingerprint,
        proof=proved.proof,
        proof_detail=proved.detail,
        proof_basis=proved.basis,
        counts=tally.roles,
        dropped=dict(sorted(tally.dropped.items())),
        bands=collection.bands,
        units=cube_info(paths.cube(next(iter(inputs.cubes)))).units,
        mean=statistics.mean,
        std=statistics.std,
        train_digest=tally.train_digest,
        assignments_digest=tally.digest,
        min_distance_m=proved.min_distance_m,
        tile_size=collection.tile_size,
        cubes=inputs.cubes,
        seed=collection.split.seed,
        resolution=collection.split.resolution,
        warnings=proved.warnings + missing,
    )


def _outcome(paths: CollectionPaths, summary: SplitSummary, made: Made) -> Outcome:
    tally, cells = made.proved.tally, made.proved.cells
    figures: dict[str, Scalar] = {
        "proof": summary.proof,
        "samples": tally.samples,
        "cells": len(tally.cells),
        "cells are": cells,
    }
    for role, count in summary.counts.items():
        figures |= {f"{role}_samples": count.n, f"{role}_agricultural": count.positives, f"{role}_cells": count.cells}
    figures |= {f"dropped {reason}": count for reason, count in summary.dropped.items()}
    figures |= {f"ambiguous in {role}'s cells": n for role, n in tally.ambiguous_by_role.items()}
    figures |= {f"min_distance_m {pair}": value for pair, value in summary.min_distance_m.items()}
    figures |= furthest("tile", tally.tiles) | furthest("month", tally.months)
    pictures = {}
    if made.picture is not None:
        pictures["split map"] = paths.receipt("splits").with_name("splits_map.png")
        write_bytes(pictures["split map"], made.picture)
    parts = ", ".join(f"{role} {summary.counts[role].n}" for role in ROLES)
    return Outcome(
        path=paths.assignments,
        fingerprint=summary.fingerprint,
        data_version=_data_version(summary),
        summary=f"{parts}; {sum(summary.dropped.values())} in no split; proof: {summary.proof}",
        metadata=figures,
        tables=_tables(summary, cells) | group_tables(tally),
        pictures=pictures,
        warnings=summary.warnings,
        outputs=(paths.assignments, paths.split_summary, *pictures.values()),
    )


def _tables(summary: SplitSummary, cells: str) -> dict[str, Table]:
    counts: list[dict[str, Scalar]] = [
        {"split": role, "samples": c.n, "agricultural": c.positives, "other": c.n - c.positives, cells: c.cells}
        for role, c in summary.counts.items()
    ]
    dropped: list[dict[str, Scalar]] = [{"reason": reason, "samples": n} for reason, n in summary.dropped.items()]
    bands: list[dict[str, Scalar]] = [
        {"band": band, "mean": mean, "std": std}
        for band, mean, std in zip(summary.bands, summary.mean, summary.std, strict=True)
    ]
    proofs: list[dict[str, Scalar]] = [
        {
            "pair": pair,
            "proof": proof,
            "by": summary.proof_basis[pair],
            "min_distance_m": summary.min_distance_m.get(pair),
        }
        for pair, proof in summary.proof_detail.items()
    ]
    rows = {"samples per split": counts, "samples in no split": dropped, "train statistics": bands, "proof": proofs}
    return {title: Table(rows=tuple(table)) for title, table in rows.items()}
