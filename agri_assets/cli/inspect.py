"""`agri-assets inspect`: what one product is, and whether it can be used."""

import argparse
import json
from typing import Any

from rich.console import Console
from rich.table import Table

from agri_assets.scenes.record import SceneRecord

NAME = "inspect"
HELP = "show the record of one product: a .SAFE directory or a STAC item file"

FIELDS = (
    "scene_id", "source", "platform", "mgrs_tile", "level", "acquired", "processing_baseline", "cloud_cover", "crs",
    "transform", "shape", "bands", "radiometry", "footprint", "readable",
)  # fmt: skip
"""The keys of the JSON form, in order."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("path", metavar="PATH", help="a .SAFE directory or a STAC item file")
    parser.add_argument("--json", action="store_true", help="print the record as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the record.

    Raises:
        SceneError: The product cannot be used.
    """
    # every command's module is imported to build the parser; the readers bring GDAL
    from agri_assets.scenes.read import inspect_product

    record = inspect_product(args.path)
    if args.json:
        values = record.model_dump(mode="json")
        values["bands"] = {name: _shown(band) for name, band in values["bands"].items()}
        print(json.dumps({key: values[key] for key in FIELDS}, indent=2))
    else:
        _show(record, Console())
    return 0


def _shown(band: dict[str, Any]) -> dict[str, Any]:
    """A band without what it does not need: it alone in its raster, read without a signature."""
    return {key: value for key, value in band.items() if (key, value) not in (("index", 1), ("sign", ""))}


def _show(record: SceneRecord, console: Console) -> None:
    height, width = record.shape
    cover = "not stated" if record.cloud_cover is None else f"{record.cloud_cover:.1f} %"
    readable = "[green]yes[/]" if record.readable else "[yellow]no: metadata only, the rasters are absent[/]"
    facts = Table(title=record.scene_id, show_header=False, title_justify="left")
    facts.add_column()
    facts.add_column(overflow="fold")
    for name, value in (
        ("product", record.location),
        ("acquired", f"{record.acquired:%Y-%m-%d %H:%M:%S} UTC by {record.platform}, tile {record.mgrs_tile}"),
        ("processing", f"{record.level}, baseline {record.processing_baseline}, read as {record.source}"),
        ("cloud cover", cover),
        ("grid", f"{height} x {width} px of {record.transform[0]:g} m in {record.crs}"),
        ("offset", f"{record.radiometry.offset}: {record.radiometry.decision}"),
        *((f"  {field}", str(value)) for field, value in record.radiometry.evidence.items()),
        ("readable", readable),
    ):
        facts.add_row(name, value)
    console.print(facts)
    bands = Table("band", "metres", "offset", "scale", "nodata", "raster")
    for name, band in record.bands.items():
        values = (
            f"{band.resolution:g}",
            str(band.offset),
            f"{band.scale:g}",
            str(band.nodata),
            band.href.rpartition("/")[2],
        )
        bands.add_row(name, *values)
    console.print(bands)
