"""Where an item and its rasters disagree, the rasters are believed, and the record says so."""

import math
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from agri_assets.remote.address import is_remote
from agri_assets.scenes.grid import TileGrid
from agri_assets.scenes.naming import CLASSIFICATION
from agri_assets.scenes.radiometry import Evidence
from agri_assets.scenes.rasters import RasterFacts, raster_facts
from agri_assets.scenes.record import BandRecord, SceneRecord

THREADS = 4
"""Headers of remote rasters fetched at once: what a host waits with is latency, not our cores."""


def believe_rasters(record: SceneRecord, remote: bool = True) -> SceneRecord:
    """The record with resolution, nodata and grid as the rasters' headers have them.

    Args:
        record: As its metadata declare it.
        remote: Whether rasters at other hosts are opened too; those on disk that exist always are.

    Returns:
        The record; each disagreement is one line of its evidence.

    Raises:
        SceneError: A raster cannot be opened, or has no north-up grid in a known CRS.
        RemoteError: The host does not give it, after all retries.
    """
    layers = layers_of(record)
    wanted = {name: one for name, one in layers.items() if (remote if is_remote(one.href) else Path(one.href).exists())}
    if not wanted:
        return record
    facts = _facts(wanted)
    corrected = {name: _corrected(layer, facts.get(name)) for name, layer in layers.items()}
    grids = [facts[name].grid for name in record.bands if name in facts]
    finest = min(grids, default=None, key=lambda grid: grid.resolution)
    evidence = {**record.radiometry.evidence, **_discrepancies(record, facts)}
    place = {"crs": finest.crs, "transform": finest.transform, "shape": (finest.height, finest.width)} if finest else {}
    return record.model_copy(
        update={
            "bands": {name: corrected[name] for name in record.bands},
            "classification": corrected.get(CLASSIFICATION),
            "radiometry": record.radiometry.model_copy(update={"evidence": evidence}),
            **place,
        }
    )


def layers_of(record: SceneRecord) -> dict[str, BandRecord]:
    """Every raster of a scene by name: its bands, and the classification where there is one."""
    return {**record.bands, **({CLASSIFICATION: record.classification} if record.classification else {})}


def _facts(layers: Mapping[str, BandRecord]) -> dict[str, RasterFacts]:
    if not any(is_remote(layer.href) for layer in layers.values()):
        return {name: raster_facts(layer.href) for name, layer in layers.items()}
    with ThreadPoolExecutor(min(THREADS, len(layers))) as pool:
        found = pool.map(lambda layer: raster_facts(layer.href, layer.sign), layers.values())
        return dict(zip(layers, found, strict=True))


def _corrected(layer: BandRecord, facts: RasterFacts | None) -> BandRecord:
    if facts is None:
        return layer
    nodata = layer.nodata if facts.nodata is None or not math.isfinite(facts.nodata) else int(facts.nodata)
    return layer.model_copy(update={"resolution": facts.grid.resolution, "nodata": nodata})


def _discrepancies(record: SceneRecord, facts: Mapping[str, RasterFacts]) -> Evidence:
    """One line for each raster that is on another grid than the record says."""
    found: Evidence = {}
    layers = layers_of(record)
    for name, fact in sorted(facts.items()):
        declared = _declared(record, layers[name])
        if fact.grid != declared:
            shown, other = _shown(fact.grid, declared), _shown(declared, fact.grid)
            found[f"{name} raster"] = f"{shown}, believed over the item's {other}"
    return found


def _declared(record: SceneRecord, layer: BandRecord) -> TileGrid:
    """The grid that the record gives a band: one corner for all, each at its own resolution."""
    factor = layer.resolution / record.transform[0]
    _, b, left, d, _, top = record.transform
    height, width = (round(size / factor) for size in record.shape)
    transform = (layer.resolution, b, left, d, -layer.resolution, top)
    return TileGrid(crs=record.crs, transform=transform, height=height, width=width)


def _shown(grid: TileGrid, other: TileGrid) -> str:
    """Size and pixel, and of the rest only what the other does not share."""
    return ", ".join(_parts(grid, other))


def _parts(grid: TileGrid, other: TileGrid) -> Iterable[str]:
    yield f"{grid.height} x {grid.width} px of {grid.resolution:g} m"
    if grid.crs != other.crs:
        yield grid.crs
    if (grid.transform[2], grid.transform[5]) != (other.transform[2], other.transform[5]):
        yield f"corner {grid.transform[2]:.0f} {grid.transform[5]:.0f}"
