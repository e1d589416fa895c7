"""`agri-assets inspect`: what one product is, and whether it can be used."""

import argparse
import json
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from agri_assets.remote.address import is_remote
from agri_assets.scenes.record import BandRecord, SceneRecord

NAME = "inspect"
HELP = "show the record of one product: SAFE (directory or zip), STAC item (file or address), GeoTIFF sidecar"

FIELDS = (
    "scene_id", "source", "platform", "mgrs_tile", "level", "acquired", "processing_baseline", "cloud_cover", "crs",
    "transform", "shape", "bands", "radiometry", "footprint", "readable",
)  # fmt: skip
"""The keys of the JSON form, in order."""

OMITTED = (("index", 1), ("sign", ""))
"""What a band does not need: it is alone in its raster, and read without a signature."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "product",
        metavar="PATH_OR_URL",
        help="a .SAFE directory or its zip, a STAC item (file or https address), or a *.scene.json sidecar",
    )
    parser.add_argument("--json", action="store_true", help="print the record as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the record.

    Raises:
        SceneError: The product cannot be used.
    """
    # every command's module is imported to build the parser; the readers bring GDAL
    from agri_assets.scenes.read import inspect_product

    if is_remote(args.product):
        from agri_assets.remote.client import client

        client().hurry()
    record = inspect_product(args.product)
    if args.json:
        values = record.model_dump(mode="json")
        values["bands"] = {name: _shown(band) for name, band in values["bands"].items()}
        print(json.dumps({key: values[key] for key in FIELDS}, indent=2))
    else:
        show(record, Console())
    return 0


def show(record: SceneRecord, console: Console) -> None:
    """What a person wants to see of a record."""
    height, width = record.shape
    console.print(f"[bold]{escape(record.scene_id)}[/]  [dim]{escape(record.location)}[/]", soft_wrap=True)
    facts = Table(show_header=False, box=None, pad_edge=False)
    facts.add_column(style="cyan", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in (
        ("readable", _readable(record)),
        ("offset", _offset(record)),
        *((f"  {field}", f"[dim]{escape(str(value))}[/]") for field, value in record.radiometry.evidence.items()),
        ("acquired", f"{record.acquired:%Y-%m-%d %H:%M:%S} UTC by {record.platform}"),
        ("processing", f"{record.level}, baseline {escape(record.processing_baseline)}, read as {record.source}"),
        ("cloud cover", _cover(record.cloud_cover)),
        ("tile", f"{record.mgrs_tile}, {height} x {width} px of {record.transform[0]:g} m in {escape(record.crs)}"),
        ("footprint", _ground(record.footprint)),
    ):
        facts.add_row(name, value)
    console.print(facts)
    console.print(_bands(record))


def _shown(band: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in band.items() if (key, value) not in OMITTED}


def _layers(record: SceneRecord) -> dict[str, BandRecord]:
    return {**record.bands, **({"SCL": record.classification} if record.classification else {})}


def _readable(record: SceneRecord) -> str:
    remote = sum(is_remote(band.href) for band in _layers(record).values())
    if not record.readable:
        return "[yellow]no: metadata only, the rasters are absent[/]"
    if not remote:
        return "[green]yes[/]"
    signs = sorted({band.sign for band in _layers(record).values() if band.sign})
    signed = f", signed by {escape(', '.join(signs))}" if signs else ""
    return f"[green]yes[/]: {remote} of {len(_layers(record))} rasters are remote, not opened{signed}"


def _offset(record: SceneRecord) -> str:
    colour = "magenta" if record.radiometry.offset else "green"
    return f"[{colour}]{record.radiometry.offset}[/]: {escape(record.radiometry.decision)}"


def _cover(cover: float | None) -> str:
    if cover is None:
        return "[yellow]not stated[/]"
    colour = "green" if cover < 20 else "yellow" if cover < 60 else "red"
    return f"[{colour}]{cover:.1f} %[/]"


def _ground(footprint: Mapping[str, object]) -> str:
    """Bounds of each part, since the bounds of two parts at the antimeridian would go around the world."""
    parts: Any = footprint["coordinates"] if footprint["type"] == "MultiPolygon" else [footprint["coordinates"]]
    return " and ".join(_bounds(list(_points(part))) for part in parts)


def _bounds(points: list[tuple[float, float]]) -> str:
    longitudes, latitudes = [point[0] for point in points], [point[1] for point in points]
    west, east, south, north = min(longitudes), max(longitudes), min(latitudes), max(latitudes)
    return f"{west:.3f} to {east:.3f} E, {south:.3f} to {north:.3f} N"


def _points(part: Any) -> Iterator[tuple[float, float]]:
    for ring in part:
        yield from ((point[0], point[1]) for point in ring)


def _bands(record: SceneRecord) -> Table:
    table = Table(box=None, pad_edge=False, header_style="cyan")
    for name in ("band", "metres", "offset", "nodata"):
        table.add_column(name, justify="left" if name == "band" else "right", no_wrap=True)
    table.add_column("raster", overflow="fold", style="dim")
    for name, band in _layers(record).items():
        place = band.href.rpartition("/")[2] + (f" [{band.index}]" if band.index > 1 else "")
        table.add_row(name, f"{band.resolution:g}", str(band.offset), str(band.nodata), escape(place))
    return table
