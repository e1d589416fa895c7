"""What a map tells of itself: tags of its files, its receipt, and its page."""

import hashlib
import math
from importlib.metadata import version

import numpy as np
import numpy.typing as npt

from agri_assets.evaluation.page import shown
from agri_assets.evaluation.records import read_report
from agri_assets.maps.area import adjusted_areas
from agri_assets.maps.degrees import Degrees
from agri_assets.maps.page import MapContent
from agri_assets.maps.raster import AGRICULTURAL, NODATA, Layer
from agri_assets.maps.task import Made, Task
from agri_assets.store.fingerprint import fingerprint, run_name
from agri_assets.store.receipt import Outcome, Scalar

MADE = "Made sample scenes: this map shows that the path works and says nothing about the real world."


def provenance_tags(task: Task, made: Made) -> dict[str, str]:
    """Provenance, as tags of the files."""
    champion = task.champion
    return {
        "TIFFTAG_SOFTWARE": f"agri-assets {version('agri-assets')}",
        "collection": task.collection.name,
        "tile": task.tile,
        "model": champion.model,
        "run": champion.run,
        "threshold": repr(champion.threshold),
        "temperature": repr(champion.temperature),
        "split_fingerprint": champion.split_fingerprint,
        "date_rule": task.collection.map.date,
        "dates": ",".join(made.chosen.dates),
        "min_clear": repr(task.collection.map.min_clear),
        "position_pixels": str(task.info.tile_size),
        "stride_pixels": str(task.stride),
        "licence": task.collection.licence,
    }


def map_outcome(task: Task, made: Made) -> Outcome:
    """The receipt."""
    positions, mapped = math.prod(task.shape), len(made.chosen.rows)
    area = task.km2(made.classes.values != NODATA)
    agricultural = task.km2(made.classes.values == AGRICULTURAL)
    share = agricultural / area if area else None
    figures: dict[str, Scalar] = {
        "positions": positions,
        "mapped_positions": mapped,
        "stride_pixels": task.stride,
        "agricultural_share": share,
        "agricultural_km2": agricultural,
        "mapped_km2": area,
        "model": task.champion.model,
        "run": task.champion.run,
        "threshold": task.champion.threshold,
        "dates": ", ".join(made.chosen.dates),
        "probability": str(task.probability_path),
        "polygons": str(task.polygons_path),
        "page": str(task.page_path),
    }
    path = task.paths.map(task.tile)
    said = "none is clear enough" if share is None else f"{share:.1%} of their ground agricultural"
    return Outcome(
        path=path,
        fingerprint=task.fingerprint,
        data_version=fingerprint(classes=_digest(made.classes), percent=_digest(made.percent)),
        summary=f"{mapped} of {positions} positions mapped by {task.champion.model}, {said}",
        metadata=figures | _adjusted(task, area, agricultural),
        pictures={"Land map": task.picture_path},
        warnings=() if mapped else (f"no position of tile {task.tile} is clear enough to be mapped",),
        outputs=(path, task.probability_path, task.polygons_path, task.page_path, task.picture_path),
    )


def _digest(layer: Layer) -> str:
    return hashlib.sha256(layer.values.tobytes()).hexdigest()


def _adjusted(task: Task, mapped: float, agricultural: float) -> dict[str, Scalar]:
    """The area on the ground, as far as the champion's test sample tells the map's errors."""
    folder = task.paths.report_run(task.champion.model, task.champion.report)
    if not (folder / "metrics.json").exists():
        return {}
    metrics = read_report(folder)
    # ambiguous ground is mapped as well, and its errors are the larger ones
    sample = metrics.with_ambiguous or metrics
    areas = adjusted_areas(sample.confusion, [mapped - agricultural, agricultural])
    if areas is None:
        return {}
    area = areas[1]
    return {
        "adjusted_agricultural_km2": area.value,
        "adjusted_agricultural_km2_low": area.low,
        "adjusted_agricultural_km2_high": area.high,
    }


def page_content(task: Task, made: Made, outcome: Outcome) -> MapContent:
    """What the page shows."""
    height, width = (count * task.info.tile_size for count in task.shape)
    return MapContent(
        tile=task.tile,
        model=task.champion.model,
        span=made.span,
        threshold=task.champion.threshold,
        image=made.mosaic.image,
        classes=made.classes.values,
        percent=made.percent.values,
        positions=task.shape,
        day=_days(task, made),
        dates=made.chosen.dates,
        degrees=Degrees.over(task.grid, height, width),
        width_m=task.width_m,
        cards=_cards(outcome),
        facts=_facts(task, made),
        proof=made.proof,
        warnings=(*((MADE,) if task.collection.source.kind == "sample" else ()), *outcome.warnings),
    )


def _days(task: Task, made: Made) -> npt.NDArray[np.int32]:
    """The number of the date that each position is mapped by, in the mapped dates; -1 where it is not."""
    rows, days = made.chosen.rows, np.full(task.shape, -1, dtype=np.int32)
    number = {date: place for place, date in enumerate(made.chosen.dates)}
    days[rows["row"], rows["col"]] = [number.get(date, -1) for date in rows["date"]]
    return days


def _cards(outcome: Outcome) -> dict[str, tuple[str, str]]:
    """Areas with what they are worth."""
    figures = outcome.metadata
    told = {"Mapped as agricultural": (_km2(figures["agricultural_km2"]), "counted in the map, its errors included")}
    if "adjusted_agricultural_km2" in figures:
        value, low, high = (figures[f"adjusted_agricultural_km2{end}"] for end in ("", "_low", "_high"))
        note = f"95 % interval {_km2(low)} to {_km2(high)}, by the errors of the test sample (Olofsson et al. 2014)"
        told["Agricultural, adjusted"] = (_km2(value), note)
    mapped, positions = (figures[name] for name in ("mapped_positions", "positions"))
    told["Mapped ground"] = (_km2(figures["mapped_km2"]), f"{shown(mapped)} of {shown(positions)} positions")
    return told


def _km2(value: Scalar) -> str:
    return f"{shown(value)} km\u00b2"


def _facts(task: Task, made: Made) -> dict[str, Scalar]:
    champion, metres = task.champion, task.grid.resolution
    return {
        "collection": task.collection.name,
        "model": champion.model,
        "training run": champion.run,
        "threshold": champion.threshold,
        "temperature": champion.temperature,
        "dates": ", ".join(made.chosen.dates),
        "date rule": task.collection.map.date,
        "window": f"{task.info.tile_size * metres:g} m",
        "square": f"{task.stride * metres:g} m",
        "grid": task.grid.crs,
        "split": run_name(champion.split_fingerprint),
        "licence": task.collection.licence,
    }
