"""Ambiguous samples: those on test's ground and no others, away from what was learnt, by what most of each is."""

import numpy as np
import pandas as pd
import pytest
import shapely

from agri_assets.cube.index import read_index
from agri_assets.cube.open import cube_info
from agri_assets.evaluation import ambiguous
from agri_assets.evaluation.ambiguous import ambiguous_samples
from agri_assets.evaluation.intervals import assess
from agri_assets.evaluation.report import build_report
from agri_assets.loading.samples import load_samples
from agri_assets.store.commit import read_json

KEY = ["tile_id", "date"]


@pytest.fixture
def found(study):
    return ambiguous_samples(study.paths, load_samples(study.paths, "test"))


def rows_of(study, samples):
    """The assignments of some samples, with what their indexes say."""
    assigned = pd.read_parquet(study.paths.assignments)
    index = pd.concat([read_index(study.paths.tiles(tile)) for tile in sorted(set(assigned["tile"]))])
    both = assigned.merge(index[[*KEY, "slot", "row", "col", "cropland_fraction"]], on=KEY)
    wanted = pd.DataFrame({"tile_id": samples.tile_id, "date": samples.date, "taken": samples.label})
    return both, wanted.merge(both, on=KEY, validate="1:1")


def test_they_are_the_ambiguous_ones_of_tests_cells(study, found):
    both, rows = rows_of(study, found)
    assert len(rows) == len(found) > 0
    assert set(rows["reason"]) == {"ambiguous"}
    cells = set(both.loc[both["split"] == "test", "cell"])
    assert set(rows["cell"]) <= cells
    assert (rows["taken"] == (rows["cropland_fraction"] >= 0.5)).all()
    assert (
        found.cell.tolist()
        == rows.set_index(KEY).loc[list(zip(found.tile_id, found.date, strict=True)), "cell"].tolist()
    )
    missed = both[(both["reason"] == "ambiguous") & both["cell"].isin(cells)]
    assert len(missed) > len(rows), "a world in which none lies near train shows nothing"


def test_each_is_labelled_by_what_most_of_it_is(study, monkeypatch):
    # the made world calls 0.4 to 0.5 ambiguous, so that half of them need another middle
    monkeypatch.setattr(ambiguous, "MOSTLY", 0.45)
    samples = ambiguous_samples(study.paths, load_samples(study.paths, "test"))
    _, rows = rows_of(study, samples)
    assert set(rows["taken"]) == {0, 1}
    assert (rows["taken"] == (rows["cropland_fraction"] >= 0.45)).all()


def test_none_lies_near_what_was_learnt(study, found):
    both, rows = rows_of(study, found)
    boxes = {}
    for tile in sorted(set(both["tile"])):
        info = cube_info(study.paths.cube(tile))
        mine = both[both["tile"] == tile]
        step, left, top = info.tile_size * info.grid.resolution, info.grid.transform[2], info.grid.transform[5]
        x, y = left + mine["col"] * step, top - mine["row"] * step
        boxes |= dict(zip(mine["tile_id"], shapely.box(x, y - step, x + step, y), strict=True))
    diagonal = np.sqrt(2) * info.tile_size * info.grid.resolution
    learnt = [boxes[name] for name in both.loc[both["split"].isin(["train", "val"]), "tile_id"]]
    tree = shapely.STRtree(learnt)
    near = tree.query([boxes[name] for name in rows["tile_id"]], predicate="dwithin", distance=diagonal * (1 - 1e-6))
    assert near.size == 0


@pytest.mark.usefixtures("undrawn")
def test_the_report_tells_what_they_change(study):
    study.train("resnet50")
    folder = build_report(study.collection, study.paths, "resnet50").path.parent
    metrics = read_json(folder / "metrics.json")
    test = pd.read_parquet(folder / "predictions.parquet").query("split == 'test'")
    more = pd.read_parquet(folder / "ambiguous.parquet")
    both = pd.concat([test, more])
    assert metrics["n"] == len(test)
    assert metrics["ambiguous"] == len(more) > 0
    columns = (both[name].to_numpy() for name in ("label", "probability", "cell"))
    expected = assess(*columns, metrics["threshold"])
    assert metrics["with_ambiguous"] == expected.model_dump(mode="json")
    low, high = metrics["with_ambiguous"]["ci95"]["roc_auc"]
    assert low < metrics["with_ambiguous"]["roc_auc"] < high
    assert f"{len(more):,} ambiguous samples as well" in (folder / "report.html").read_text()
    off = build_report(study.with_settings(ambiguous=False).collection, study.paths, "resnet50").path.parent
    assert read_json(off / "metrics.json")["with_ambiguous"] is None
    assert not (off / "ambiguous.parquet").exists()


def test_an_archive_has_none(archive):
    assert ambiguous_samples(archive.paths, load_samples(archive.paths, "test")) is None
