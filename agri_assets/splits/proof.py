"""Proof that a split is disjoint, from `assignments.parquet` and the tile indexes, by code independent of the assigner.

For scenes the ground is measured again in another way: footprints are taken from the indexes' geographic geometry (not
from grids), projected by PROJ to an azimuthal-equidistant plane around each tile (not to UTM), and distances are
computed pair by pair. Nothing of the assigner is imported. Tiles come one after the other; of the others only their
outlines are held, and the used positions that lie near a tile to come.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path

import numpy as np

from agri_assets.errors import SplitError
from agri_assets.progress import track
from agri_assets.splits.apart import LOOK, Ground, Packed, measure, prove_owner, reached
from agri_assets.splits.ground import Cover, LocalPlane, neighbourhoods
from agri_assets.splits.proof_rows import TileReader
from agri_assets.splits.rows import index_blocks, paired
from agri_assets.splits.settings import PAIRS, ROLES, Role
from agri_assets.splits.summary import RoleCount
from agri_assets.splits.tally import Tally
from agri_assets.store.layout import CollectionPaths


@dataclass(frozen=True)
class Terms:
    """Words for the refusal of a weak split: what its cells are called, and per role what to do."""

    cells: str
    remedy: Mapping[Role, str]


SCENES_REMEDY: dict[Role, str] = {
    role: f"add tiles or dates, raise split.resolution (smaller cells), or change {share} or split.seed"
    for role, share in zip(ROLES, ("split.val and split.test", "split.val", "split.test"), strict=True)
}


def prove_strength(counts: Mapping[Role, RoleCount], min_cells: int, terms: Terms | None = None) -> None:
    """Check that each split has both classes and enough cells.

    Args:
        counts: What each split holds.
        min_cells: Least number of cells in each split.
        terms: Words of the refusal; those of scenes by default.

    Raises:
        SplitError: A split is too weak; the message names it, what it holds and what to change.
    """
    terms = terms or Terms("cells", SCENES_REMEDY)
    for role, count in counts.items():
        holds = f"{count.n} samples ({count.positives} agricultural) in {count.cells} {terms.cells}"
        if count.positives == 0:
            raise SplitError(f"split {role} has no agricultural sample: it holds {holds}; {terms.remedy[role]}")
        if count.positives == count.n:
            raise SplitError(f"split {role} has only agricultural samples: it holds {holds}; {terms.remedy[role]}")
        if count.cells < min_cells:
            raise SplitError(
                f"split {role} has too few {terms.cells} for split.min_cells ({min_cells}): {holds}; "
                f"{terms.remedy[role]}"
            )


def prove_scenes(
    file: Path, paths: CollectionPaths, tiles: Sequence[str], diagonal_m: float
) -> tuple[Tally, dict[str, float | None]]:
    """Prove that the splits of scenes are apart on the ground, tile by tile.

    Args:
        file: The assignments.
        paths: The collection's, for its tile indexes.
        tiles: All tiles of the split, in order of name.
        diagonal_m: One tile diagonal: the least allowed ground distance between footprints of two splits.

    Returns:
        What the assignments amount to; and the least distance in metres per pair of roles, such as `train/test`, None
        where it is beyond two diagonals.

    Raises:
        SplitError: The assignments do not fit the indexes, a cell or a position is in two splits, two tiles use the
            same ground, or two splits come too near.
    """
    covers = {
        tile: cover
        for tile in track(tiles, f"{paths.collection}: ground to prove", len(tiles), "tiles")
        if (cover := Cover.of(index_blocks(paths, tile, ("row", "col", "geometry"))))
    }
    near = neighbourhoods(covers, LOOK * diagonal_m)
    tally, least = Tally(), {f"{one}/{other}": math.inf for one, other in PAIRS}
    waiting: defaultdict[str, list[Packed]] = defaultdict(list)
    rows = groupby(paired(file, paths, tiles, TileReader.COLUMNS), key=attrgetter("tile"))
    for tile, pairs in track(rows, f"{paths.collection}: proof", len(tiles), "tiles"):
        around = {other: covers[other] for other in near[tile]}
        ground = TileReader(tile, covers[tile].shape, tally).read(pairs)
        for pair, distance in _prove_tile(ground, around, waiting, diagonal_m).items():
            least[pair] = min(least[pair], distance)
    return tally, {pair: None if math.isinf(value) else round(value, 1) for pair, value in least.items()}


def _prove_tile(
    ground: Ground, around: Mapping[str, Cover], waiting: defaultdict[str, list[Packed]], diagonal_m: float
) -> dict[str, float]:
    """Prove one tile against itself and those before it; `waiting` gets what those after it are proved against."""
    before = [packed.unpacked() for packed in waiting.pop(ground.tile, [])]
    if not len(ground):
        return {}
    plane = LocalPlane.around(ground.shape)
    flat = plane.project(ground.shape)
    areas = {other: plane.project(np.array([cover.area]))[0] for other, cover in around.items()}
    prove_owner(ground, flat, areas)
    for other, area in areas.items():
        if other > ground.tile:
            waiting[other].append(Packed.of(ground.take(reached(flat, area, LOOK * diagonal_m))))
    return measure(ground, flat, [(part, plane.project(part.shape)) for part in before if len(part)], diagonal_m)
