"""The stage `splits`: assign, prove, take the train statistics of what was proved, and write."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from agri_assets.config import Collection
from agri_assets.cube.open import cube_info
from agri_assets.splits.archive_proof import cell_words
from agri_assets.splits.assign import assign_scenes
from agri_assets.splits.assignments import SCHEMA, arrange, write_assignments
from agri_assets.splits.check import Proved, check_splits, prove
from agri_assets.splits.inputs import SplitInputs, listed_roles, read_indexes, split_inputs
from agri_assets.splits.lists import assign_archive
from agri_assets.splits.picture import split_map
from agri_assets.splits.settings import ROLES
from agri_assets.splits.statistics import train_statistics
from agri_assets.splits.summary import SplitSummary, digest_rows, digest_train, read_summary
from agri_assets.store.commit import write_bytes, write_json
from agri_assets.store.fingerprint import fingerprint
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome, Scalar, Table, run_stage

__all__ = ["build_splits", "check_splits", "read_summary"]


def build_splits(collection: Collection, paths: CollectionPaths) -> Outcome:
    """Assign every sample of a collection to train, val, test or none, and prove that they are disjoint.

    Raises:
        SplitError: There is no cube, a split lacks a class or cells, or the proof fails.
    """
    inputs = split_inputs(collection, paths)
    return run_stage(
        paths.receipt("splits"),
        inputs.fingerprint,
        lambda: _build(collection, paths, inputs),
        f"{collection.name}/splits",
    )


def assign_and_prove(collection: Collection, paths: CollectionPaths, inputs: SplitInputs, file: Path) -> Proved:
    """All of the stage but the statistics of the train pixels: assign, write the assignments, prove what was written.

    Args:
        collection: The collection.
        paths: Where it lies.
        inputs: What `split_inputs` found.
        file: Where to write the assignments: a file of this machine that nobody takes for the live one yet.
    """
    index = read_indexes(paths, inputs)
    assignments = _assign(collection, inputs, index)
    proved = prove(collection, inputs, assignments, index)
    pq.write_table(pa.Table.from_pandas(assignments, schema=SCHEMA, preserve_index=False), file)
    return proved


def _build(collection: Collection, paths: CollectionPaths, inputs: SplitInputs) -> Outcome:
    index = read_indexes(paths, inputs)
    assignments = _assign(collection, inputs, index)
    proved = prove(collection, inputs, assignments, index)
    cubes = {tile: paths.cube(tile) for tile in inputs.cubes}
    train = proved.rows[proved.rows["split"] == "train"]
    units = cube_info(next(iter(cubes.values()))).units
    statistics = train_statistics(train, cubes, collection.bands, units)
    missing = tuple(f"tile {tile} is active but has no whole cube: left out of the split" for tile in inputs.missing)
    summary = SplitSummary(
        fingerprint=inputs.fingerprint,
        proof=proved.proof,
        proof_detail=proved.detail,
        proof_basis=proved.basis,
        counts=proved.counts,
        dropped={
            str(reason): int(n) for reason, n in assignments["reason"].value_counts(sort=False).sort_index().items()
        },
        bands=collection.bands,
        units=units,
        mean=statistics.mean,
        std=statistics.std,
        train_digest=digest_train(assignments),
        assignments_digest=digest_rows(assignments),
        min_distance_m=proved.min_distance_m,
        tile_size=collection.tile_size,
        cubes=inputs.cubes,
        seed=collection.split.seed,
        resolution=collection.split.resolution,
        warnings=proved.warnings + missing,
    )
    # the summary comes last: until it is there, the digest of the older one refuses the new assignments
    write_assignments(paths, assignments)
    write_json(paths.split_summary, summary.model_dump(mode="json"))
    return _outcome(collection, paths, summary, assignments, index)


def _assign(collection: Collection, inputs: SplitInputs, index: pd.DataFrame) -> pd.DataFrame:
    if collection.is_archive:
        decided = assign_archive(index, listed_roles(collection), collection.split)
    else:
        decided = assign_scenes(index, inputs.grids, collection.split, collection.tile_size)
    return arrange(index.join(decided))


def _outcome(
    collection: Collection,
    paths: CollectionPaths,
    summary: SplitSummary,
    assignments: pd.DataFrame,
    index: pd.DataFrame,
) -> Outcome:
    cells = cell_words(index) if collection.is_archive else "ground cells"
    figures: dict[str, Scalar] = {
        "proof": summary.proof,
        "samples": len(assignments),
        "cells": assignments["cell"].nunique(),
        "cells are": cells,
    }
    for role, count in summary.counts.items():
        figures |= {f"{role}_samples": count.n, f"{role}_agricultural": count.positives, f"{role}_cells": count.cells}
    figures |= {f"dropped {reason}": count for reason, count in summary.dropped.items()}
    figures |= {f"ambiguous in {role}'s cells": n for role, n in _ambiguous(assignments).items()}
    figures |= {f"min_distance_m {pair}": value for pair, value in summary.min_distance_m.items()}
    pictures = {}
    used = assignments.assign(geometry=index.get("geometry")).dropna(subset="geometry")
    if len(used):
        pictures["split map"] = paths.receipt("splits").with_name("splits_map.png")
        used = used.sort_values("split").drop_duplicates("tile_id")
        write_bytes(pictures["split map"], split_map(used, f"{collection.name}: positions by split"))
    parts = ", ".join(f"{role} {summary.counts[role].n}" for role in ROLES)
    return Outcome(
        path=paths.assignments,
        fingerprint=summary.fingerprint,
        data_version=fingerprint(
            rows=summary.assignments_digest, cubes=summary.cubes, mean=summary.mean, std=summary.std
        ),
        summary=f"{parts}; {sum(summary.dropped.values())} in no split; proof: {summary.proof}",
        metadata=figures,
        tables=_tables(summary, cells),
        pictures=pictures,
        warnings=summary.warnings,
        outputs=(paths.assignments, paths.split_summary, *pictures.values()),
    )


def _ambiguous(assignments: pd.DataFrame) -> dict[str, int]:
    """How many ambiguous samples lie in the cells of each split; none of them is in it."""
    roles = assignments.dropna(subset="split").drop_duplicates("cell").set_index("cell")["split"]
    found = assignments.loc[assignments["reason"] == "ambiguous", "cell"].map(roles).value_counts()
    return {role: int(found[role]) for role in ROLES if role in found}


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
