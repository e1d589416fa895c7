"""Proof that a split is disjoint, from `assignments.parquet` and the tile indexes, by code independent of the assigner.

For scenes the ground is measured again in another way: footprints are taken from the indexes' geographic geometry (not
from grids), projected by PROJ to an azimuthal-equidistant plane around each tile (not to UTM), and distances are
computed pair by pair. Nothing of the assigner is imported.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from agri_assets.errors import SplitError
from agri_assets.splits.settings import PAIRS, ROLES, Role
from agri_assets.splits.summary import RoleCount, count_roles

SCALE_TOLERANCE = 0.002
"""Relative. The assigner measures in UTM, whose scale is 0.9996 to 1.0013 within and just beside a zone."""

EDGE_TOLERANCE_M = 1.0
"""A centre this near the edge of a tile may count as inside or outside it."""

EARTH_RADIUS_M = 6_371_008.8
"""Mean radius of the Earth (IUGG)."""

Shapes = NDArray[np.object_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ground:
    """Distinct assigned positions on the ground.

    Attributes:
        name: `tile_id` of each position.
        tile: Its tile.
        owner: Nominal MGRS tile of its centre.
        split: Its split.
        shape: Its footprint, longitude and latitude.
    """

    name: NDArray[np.object_]
    tile: NDArray[np.object_]
    owner: NDArray[np.object_]
    split: NDArray[np.object_]
    shape: Shapes


@dataclass(frozen=True)
class Terms:
    """Words for the refusal of a weak split: what its cells are called, and per role what to do."""

    cells: str
    remedy: Mapping[Role, str]


SCENES_REMEDY: dict[Role, str] = {
    role: f"add tiles or dates, raise split.resolution (smaller cells), or change {share} or split.seed"
    for role, share in zip(ROLES, ("split.val and split.test", "split.val", "split.test"), strict=True)
}


def prove_rows(assignments: pd.DataFrame, index: pd.DataFrame) -> pd.DataFrame:
    """Check that the rows belong to the indexes: each sample once, with the same label and cell.

    Returns:
        The assigned rows with the columns of the index beside them.

    Raises:
        SplitError: A sample is listed twice, is unknown, has another label or cell, or is assigned without a label.
    """
    key = ["tile", "tile_id", "date"]
    for name, table in (("assignments", assignments), ("tile indexes", index)):
        refuse_rows(table[table.duplicated(["tile_id", "date"])], f"listed more than once in the {name}")
    refuse_rows(assignments[~assignments["split"].isin([*ROLES, None]) & assignments["split"].notna()], "unknown split")
    assigned = assignments[assignments["split"].notna()]
    both = assigned.merge(index, on=key, how="left", suffixes=("", "_index"), indicator=True)
    refuse_rows(both[both["_merge"] != "both"], "assigned to a split but not in the tile index")
    refuse_rows(both[both["label"].isna()], "assigned to a split without a label")
    differs = both["label"].astype("Int8") != both["label_index"].astype("Int8")
    refuse_rows(both[differs.fillna(True)], "label differs from the tile index")
    refuse_rows(both[both["cell"] != both["cell_index"]], "cell differs from the tile index")
    return both


def prove_strength(assignments: pd.DataFrame, min_cells: int, terms: Terms | None = None) -> dict[Role, RoleCount]:
    """Check that each split has both classes and enough cells; returns what each holds.

    Args:
        assignments: All of them.
        min_cells: Least number of cells in each split.
        terms: Words of the refusal; those of scenes by default.

    Raises:
        SplitError: A split is too weak; the message names it, what it holds and what to change.
    """
    counts, terms = count_roles(assignments), terms or Terms("cells", SCENES_REMEDY)
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
    return counts


def prove_scenes(rows: pd.DataFrame, diagonal_m: float, all_positions: pd.DataFrame) -> dict[str, float | None]:
    """Prove that the splits of scenes are apart on the ground.

    Args:
        rows: What `prove_rows` returned.
        diagonal_m: One tile diagonal: the least allowed ground distance between footprints of two splits.
        all_positions: One row per position of every tile, used or not: columns `tile` and `geometry`.

    Returns:
        Least distance in metres per pair of roles, such as `train/test`; None where it is beyond two diagonals.

    Raises:
        SplitError: A cell or a position is in two splits, two tiles use the same ground, or two splits come too near.
    """
    require_one_split(rows, "cell")
    require_one_split(rows, "tile_id")
    once = rows.drop_duplicates("tile_id")
    name, tiles, owner, split = (once[name].to_numpy(object) for name in ("tile_id", "tile", "owner", "split"))
    ground = Ground(name, tiles, owner, split, shapely.from_wkb(once["geometry"].to_numpy(object)))
    covers = {
        str(tile): shapely.from_wkb(part["geometry"].to_numpy(object)) for tile, part in all_positions.groupby("tile")
    }
    least = {f"{one}/{other}": math.inf for one, other in PAIRS}
    for tile in sorted(set(ground.tile)):
        plane = LocalPlane.around(ground.shape[ground.tile == tile])
        _prove_owner(ground, tile, covers, plane, diagonal_m)
        for pair, distance in _prove_distance(ground, tile, plane, diagonal_m).items():
            least[pair] = min(least[pair], distance)
    return {pair: None if math.isinf(value) else round(value, 1) for pair, value in least.items()}


@dataclass(frozen=True)
class LocalPlane:
    """An azimuthal-equidistant plane on the WGS 84 ellipsoid; within 100 km of its centre it is true to 1e-4."""

    projection: Transformer
    lon: float
    lat: float

    @classmethod
    def around(cls, shapes: Shapes) -> "LocalPlane":
        """The plane centred on a corner of one of these footprints."""
        # a corner: the centroid of a footprint cut at 180 degrees lies on the other side of the Earth
        lon, lat = shapely.get_coordinates(shapes[len(shapes) // 2])[0].tolist()
        target = f"+proj=aeqd +lat_0={lat!r} +lon_0={lon!r} +datum=WGS84 +units=m"
        return cls(Transformer.from_crs("EPSG:4326", target, always_xy=True), lon, lat)

    def project(self, shapes: Shapes) -> Shapes:
        """Footprints on the plane, in metres."""
        coordinates = shapely.get_coordinates(shapes)
        x, y = self.projection.transform(coordinates[:, 0], coordinates[:, 1])
        return np.asarray(shapely.set_coordinates(shapes.copy(), np.stack([x, y], axis=1)), dtype=object)

    def far(self, shapes: Shapes, reach_m: float) -> NDArray[np.bool_]:
        """Which footprints lie surely beyond `reach_m` of the centre (great circle, half a percent of slack)."""
        corner = shapely.bounds(shapes)
        lon, lat = np.radians(corner[:, 0] - self.lon), np.radians(corner[:, 1])
        cosine = math.sin(math.radians(self.lat)) * np.sin(lat)
        cosine += math.cos(math.radians(self.lat)) * np.cos(lat) * np.cos(lon)
        return np.asarray(EARTH_RADIUS_M * np.arccos(np.clip(cosine, -1, 1)) > reach_m * 1.005)


def _prove_distance(ground: Ground, tile: str, plane: LocalPlane, diagonal_m: float) -> dict[str, float]:
    """Least distance of each pair of roles of which one position is of `tile`; looks two diagonals far."""
    own = ground.tile == tile
    flat_own = plane.project(ground.shape[own])
    reach = float(np.abs(shapely.get_coordinates(flat_own)).max()) * math.sqrt(2) + 3 * diagonal_m
    kept = np.flatnonzero(own | ~plane.far(ground.shape, reach))
    flat, split, mine = plane.project(ground.shape[kept]), ground.split[kept], own[kept]
    least: dict[str, float] = {}
    for one, other in PAIRS:
        first, second = np.flatnonzero(split == one), np.flatnonzero(split == other)
        near = shapely.STRtree(flat[second]).query(flat[first], predicate="dwithin", distance=2 * diagonal_m)
        left, right = first[near[0]], second[near[1]]
        local = mine[left] | mine[right]
        left, right = left[local], right[local]
        if not len(left):
            continue
        distances = shapely.distance(flat[left], flat[right])
        worst = int(np.argmin(distances))
        least[f"{one}/{other}"] = float(distances[worst])
        if distances[worst] < diagonal_m * (1 - SCALE_TOLERANCE):
            a, b = ground.name[kept[left[worst]]], ground.name[kept[right[worst]]]
            raise SplitError(
                f"{one} sample {a} is {distances[worst]:.0f} m from {other} sample {b}, nearer than one tile diagonal "
                f"({diagonal_m:.0f} m); materialise splits again"
            )
    return least


def _prove_owner(ground: Ground, tile: str, covers: Mapping[str, Shapes], plane: LocalPlane, diagonal_m: float) -> None:
    """Check that no tile with a better claim covers the centres of this tile's positions."""
    rows = np.flatnonzero(ground.tile == tile)
    centre = shapely.centroid(plane.project(ground.shape[rows]))
    x, y = shapely.get_x(centre), shapely.get_y(centre)
    reach = float(np.hypot(x, y).max()) + EDGE_TOLERANCE_M + diagonal_m
    covered = {}
    for other, shapes in covers.items():
        near = shapes[~plane.far(shapes, reach)]
        if other != tile and len(near):
            covered[other] = _surely_covered(x, y, plane.project(near))
    # a nominal owner that covers a centre beats all; where there is none, a name before ours would
    for other, inside in covered.items():
        nominal = ground.owner[rows] == other
        first = (ground.owner[rows] != tile) & (other < tile)
        for third, also in covered.items():
            first &= ~((ground.owner[rows] == third) & also)
        wrong = inside & (nominal | first)
        if wrong.any():
            name = ground.name[rows[np.flatnonzero(wrong)[0]]]
            raise SplitError(f"sample {name} lies on ground that tile {other} owns; materialise splits again")


def _surely_covered(x: Floats, y: Floats, shapes: Shapes) -> NDArray[np.bool_]:
    """Which points are covered together with a small cross around them, so that rounding at edges cannot matter."""
    tree, inside = shapely.STRtree(shapes), np.ones(len(x), dtype=bool)
    for dx, dy in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        arm = shapely.points(x + dx * EDGE_TOLERANCE_M, y + dy * EDGE_TOLERANCE_M)
        hit = np.zeros(len(x), dtype=bool)
        hit[tree.query(arm, predicate="intersects")[0]] = True
        inside &= hit
    return inside


def require_one_split(rows: pd.DataFrame, column: str, what: str | None = None) -> None:
    """Refuse if one value of a column stands in two splits; `what` names the column in the message."""
    counts = rows.groupby(column, sort=False)["split"].nunique()
    refuse_rows(rows[rows[column].isin(counts[counts > 1].index)], f"its {what or column} is in more than one split")


def refuse_rows(wrong: pd.DataFrame, problem: str, remedy: str = "materialise splits again") -> None:
    """Refuse if any row is wrong, naming the first."""
    if len(wrong):
        row = wrong.iloc[0]
        where = f"{row['tile_id']} {row['date']}" if pd.notna(row["date"]) else f"{row['tile_id']}"
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        split = f" [{row['split']}]" if "split" in wrong.columns and pd.notna(row["split"]) else ""
        raise SplitError(f"sample {where}{split}: {problem}{more}; {remedy}")
