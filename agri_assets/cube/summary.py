"""What a finished cube tells: figures, a row per date, and a picture of the newest clear one."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agri_assets.cube.dated_index import DatedIndex
from agri_assets.cube.land_index import label_counts
from agri_assets.cube.looks import require_look
from agri_assets.cube.manifest import manifest_path, read_manifest
from agri_assets.cube.samples import scene_figures
from agri_assets.cube.schema import CubeInfo, Slot
from agri_assets.objects import each
from agri_assets.store.fingerprint import fingerprint
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome, Scalar, Table

CLEAR_ENOUGH = 0.5
"""Mean clear fraction from which a date is shown; below it the clearest date is."""


@dataclass(frozen=True)
class BuildReport:
    """What one run of the stage did.

    Attributes:
        info: The committed cube.
        index: Digest of the tile index.
        built: Dates that were appended.
        refused: A line per date whose scene could not be read.
        vanished: A line per date that became inactive.
        seconds: Time taken by the pixels.
        settled: False if a date was refused for what may pass by itself, and so must be tried again.
    """

    info: CubeInfo
    index: str
    built: tuple[str, ...]
    refused: tuple[str, ...]
    vanished: tuple[str, ...]
    seconds: float
    settled: bool = True


def cube_outcome(paths: CollectionPaths, tile: str, report: BuildReport, index: DatedIndex, inputs: str) -> Outcome:
    """The receipt of a finished cube."""
    cube, info = paths.cube(tile), report.info
    rows = list(each(cube, lambda slot: _row(cube, slot), info.active))
    latest = _show(info, index.clear)
    megabytes = len(report.built) * info.height * info.width * (2 * len(info.bands) + 1) / 1e6
    return Outcome(
        path=cube,
        fingerprint=inputs,
        data_version=data_version(info, report.index),
        summary=_summary(report, rows),
        metadata={
            "dates": len(info.active),
            "dates_built": len(report.built),
            "slots": len(info.slots),
            "refused": len(report.refused),
            "positions": len(index.positions),
            **label_counts(index.positions),
            "index": str(paths.tiles(tile)),
            "stored_mb": round(sum(float(row["stored_mb"] or 0) for row in rows), 1),
            "seconds": round(report.seconds, 1),
            "mb_per_s": round(megabytes / report.seconds, 1) if report.built else None,
        },
        tables={"dates": Table(rows=tuple(rows))},
        pictures={f"{tile} {latest.date}": require_look(cube, latest.slot)},
        warnings=(*report.refused, *report.vanished),
        outputs=(cube / "zarr.json", paths.tiles(tile)),
        settled=report.settled,
    )


def data_version(info: CubeInfo, index: str) -> str:
    """Digest of what the cube and its index mean: pixels by date, coordinates, labels; not of slots or stored bytes."""
    return fingerprint(
        pixels=[(slot.date, slot.digest) for slot in info.active],
        coordinates=(info.grid, info.bands, info.tile_size, info.units),
        index=index,
    )


def _show(info: CubeInfo, clear: Mapping[int, float]) -> Slot:
    """The newest date that is clear enough, else the clearest."""
    enough = [slot for slot in info.active if clear[slot.slot] >= CLEAR_ENOUGH]
    return enough[-1] if enough else max(info.active, key=lambda slot: clear[slot.slot])


def _row(cube: Path, slot: Slot) -> dict[str, Scalar]:
    """Valid and clear are shares of all the tile's pixels."""
    manifest, figures = read_manifest(manifest_path(cube, slot.slot)), scene_figures(cube, slot.slot)
    return {
        "date": slot.date,
        "scene": slot.scene_id,
        "slot": slot.slot,
        "valid": round(figures.scene_valid, 3),
        "clear": round(figures.scene_clear, 3),
        "scl_out_of_range": figures.scl_out_of_range,
        "clipped_pixels": manifest.clipped,
        "stored_mb": round(manifest.stored_bytes / 1e6, 1),
    }


def _summary(report: BuildReport, rows: list[dict[str, Scalar]]) -> str:
    built = f"{len(report.built)} built in {report.seconds:.0f} s" if report.built else "no new pixels"
    refused = f", {len(report.refused)} refused" if report.refused else ""
    return f"{len(rows)} dates ({built}{refused})"
