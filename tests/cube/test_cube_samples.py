"""Figures of positions and of whole scenes, and dates that a host did not give."""

from dataclasses import astuple

import numpy as np
import pandas as pd
import pytest

from agri_assets.cube import samples, slots
from agri_assets.cube.build import build_cube
from agri_assets.cube.manifest import samples_path
from agri_assets.cube.samples import scene_figures, slot_samples, write_samples
from agri_assets.cube.scene_shards import SlotPixels
from agri_assets.cube.schema import CubeInfo, Slot
from agri_assets.cube.shares import share
from agri_assets.errors import CubeError, RemoteError, SceneError
from agri_assets.scenes.clouds import clear_mask
from agri_assets.scenes.grid import TileGrid
from agri_assets.scenes.settings import CloudSettings

GRID = TileGrid(crs="EPSG:32633", transform=(10.0, 0.0, 499980.0, 0.0, -10.0, 5100000.0), height=300, width=200)
INFO = CubeInfo(
    tile="33TWL",
    bands=("B02",),
    units="reflectance",
    tile_size=32,
    shard_size=64,
    height=300,
    width=200,
    grid=GRID,
    slots=(Slot(slot=0, date="2023-08-10", scene_id="x", fingerprint="f", active=True, digest="d"),),
)


def counted(tmp_path, classes: np.ndarray, clouds: CloudSettings, valid: np.ndarray | None = None) -> pd.DataFrame:
    data = np.ones(classes.shape, dtype=bool) if valid is None else valid
    write_samples(
        tmp_path / "x.zarr", INFO, 0, SlotPixels((), 0, data, classes, np.zeros((3, 1, 1), np.uint16)), clouds
    )
    (figures,) = slot_samples(tmp_path / "x.zarr", INFO, [0], clouds)
    return figures


@pytest.mark.parametrize("dilate_m", [0, 10, 95, 700])
def test_clouds_grow_across_the_strips_they_are_counted_in(tmp_path, dilate_m):
    rng = np.random.default_rng(0)
    classes = np.where(rng.random((300, 200)) < 0.0005, 9, 4).astype(np.uint8)
    classes[62:66, 10] = 9  # on both sides of the first edge
    clouds = CloudSettings(dilate_m=dilate_m)
    figures = counted(tmp_path, classes, clouds)
    whole = clear_mask(classes, clouds, 10.0)
    assert (figures["clear_fraction"].to_numpy() == share(whole, 32).ravel()).all()
    assert scene_figures(tmp_path / "x.zarr", 0).scene_clear == pytest.approx(whole.mean())


def test_scene_figures_count_every_pixel_and_positions_whole_ones(tmp_path):
    classes = np.full((300, 200), 4, dtype=np.uint8)
    classes[288:] = 9  # below the last whole position
    valid = np.ones((300, 200), dtype=bool)
    valid[:, 192:] = False  # right of it
    figures = counted(tmp_path, classes, CloudSettings(), valid)
    assert len(figures) == 9 * 6
    assert (figures[["valid_fraction", "clear_fraction"]] == 1).all(axis=None)
    assert astuple(scene_figures(tmp_path / "x.zarr", 0)) == pytest.approx((192 / 200, 288 / 300 * 192 / 200, 0))


def test_what_is_no_class_is_counted_and_neither_valid_nor_clear(tmp_path):
    classes = np.full((300, 200), 4, dtype=np.uint8)
    classes[0, :8] = 12
    figures = counted(tmp_path, classes, CloudSettings())
    assert figures.loc[0, "valid_fraction"] == figures.loc[0, "clear_fraction"] == np.float32(1 - 8 / 32**2)
    assert scene_figures(tmp_path / "x.zarr", 0).scl_out_of_range == 8


def test_without_a_classification_what_is_valid_is_clear(tmp_path):
    valid = np.ones((300, 200), dtype=bool)
    valid[:32, :16] = False
    figures = counted(tmp_path, np.zeros((300, 200), np.uint8), CloudSettings(dilate_m=100), valid)
    assert (figures["clear_fraction"] == figures["valid_fraction"]).all()
    assert figures.loc[0, "clear_fraction"] == 0.5


def build(site, *records):
    site.inventory(*records)
    return build_cube(site.collection, site.paths, "33TWL")


def test_the_table_of_dates_tells_what_each_scene_is_worth(site):
    row = build(site, site.scene("2023-08-10", scl=12, hole=slice(0, 546))).tables["dates"].rows[0]
    # the left half of the classification is class 12, the upper half of the bands is without data
    assert (row["valid"], row["clear"]) == (0.25, 0.25)
    assert row["scl_out_of_range"] == 1092 * 540


def test_other_cloud_settings_count_classes_anew_and_keep_the_rest(site):
    record = site.scene("2023-08-10", scl=9, hole=slice(0, 546))
    # the left half is cloud, and of the right half the upper half is without data
    assert build(site, record).tables["dates"].rows[0]["clear"] == 0.25
    site.inventory(record)
    changed = site.collection.model_copy(update={"clouds": CloudSettings(not_clear=(0,))})
    row = build_cube(changed, site.paths, "33TWL").tables["dates"].rows[0]
    assert (row["valid"], row["clear"]) == (0.5, 0.5)


@pytest.mark.parametrize("code", [None, 1])
def test_a_pixel_without_data_is_not_clear(tmp_path, monkeypatch, code):
    """Also where another version of the rule counted: the data of a slot are looked at again."""
    classes = np.full((300, 200), 4, dtype=np.uint8)
    valid = np.random.default_rng(0).random((300, 200)) < 0.5
    if code:
        monkeypatch.setattr(samples, "COUNTED", code)
        monkeypatch.setattr(samples, "_clear", lambda *_: samples._Shares(np.ones((9, 6), np.float32), 1.0))
    data = SlotPixels((), 0, valid, classes, np.zeros((3, 1, 1), np.uint16))
    write_samples(tmp_path / "x.zarr", INFO, 0, data, CloudSettings())
    monkeypatch.undo()
    monkeypatch.setattr(samples, "open_array", lambda _, name: name)
    monkeypatch.setattr(samples, "read_block", lambda *_: classes)
    monkeypatch.setattr(samples, "_data", lambda *_: valid)
    (figures,) = slot_samples(tmp_path / "x.zarr", INFO, [0], CloudSettings())
    assert (figures["clear_fraction"] == figures["valid_fraction"]).all()
    assert scene_figures(tmp_path / "x.zarr", 0).scene_clear == pytest.approx(valid.mean())


def test_figures_of_an_older_version_are_completed_from_the_cube(site):
    record = site.scene("2023-08-10", scl=9, hole=slice(0, 546))
    before = build(site, record)
    path = samples_path(site.paths.cube("33TWL"), 0)
    figures = pd.read_parquet(path)
    figures.drop(columns=["scene_valid", "scene_clear", "scl_out_of_range"]).to_parquet(path)
    site.land_cover(version="2")
    after = build_cube(site.collection, site.paths, "33TWL")
    assert after.tables["dates"].rows == before.tables["dates"].rows
    assert pd.read_parquet(path).equals(figures)


@pytest.mark.parametrize("transient", [True, False])
def test_only_a_date_that_its_host_did_not_give_is_tried_again_by_itself(site, monkeypatch, transient):
    good, bad = site.scene("2023-08-10"), site.scene("2023-08-15", seed=1)
    really = slots.build_slot

    def build_slot(cube, info, number, records, workers):
        if records[0].scene_id == bad.scene_id:
            raise RemoteError("the host does not answer", transient=transient)
        return really(cube, info, number, records)

    monkeypatch.setattr(slots, "build_slot", build_slot)
    first = build(site, good, bad)
    assert (first.metadata["dates"], first.metadata["refused"]) == (1, 1)
    monkeypatch.undo()
    again = build_cube(site.collection, site.paths, "33TWL")
    assert again.reused is not transient
    assert again.metadata["dates"] == (2 if transient else 1)
    assert build_cube(site.collection, site.paths, "33TWL").reused


def test_when_no_date_can_be_had_nothing_is_settled(site, monkeypatch):
    def fail(*_):
        raise SceneError("unreadable")

    monkeypatch.setattr(slots, "build_slot", fail)
    with pytest.raises(CubeError, match=r"none of 1 dates could be built.*unreadable"):
        build(site, site.scene("2023-08-10"))
    monkeypatch.undo()
    assert build_cube(site.collection, site.paths, "33TWL").metadata["dates"] == 1
