"""Dates whose pixels are unlike those of train are named, by figures alone."""

import pytest

from agri_assets.cube.manifest import BandFigures, SlotManifest, manifest_path, write_manifest
from agri_assets.limits import Limits
from agri_assets.splits.band_shift import cube_shift
from agri_assets.splits.summary import read_summary

TILE = "31TCJ"


@pytest.fixture
def dated(built):
    """Writes the manifests of a tile's two dates, each with means so many standard deviations from train's."""

    def write(*shifts):
        split = read_summary(built.paths)
        for slot, shift in enumerate(shifts):
            bands = (
                ()
                if shift is None
                else tuple(
                    BandFigures(band=band, mean=mean + far * std, std=std, low=0, median=0, high=0)
                    for band, mean, std, far in zip(split.bands, split.mean, split.std, (0.1, shift), strict=True)
                )
            )
            manifest = SlotManifest(slot=slot, date=DATES[slot], scene_id="", fingerprint="", bands=bands, shards=())
            write_manifest(manifest_path(built.paths.cube(TILE), slot), manifest)
        return built

    return write


DATES = ("2023-05-10", "2023-08-15")


def find(world, **limits):
    collection = world.collection.model_copy(update={"limits": Limits(**limits)})
    return cube_shift(collection, world.paths, TILE)


def test_a_date_within_the_range_passes(dated):
    found = find(dated(0.5, -1.2))
    assert found.passed
    assert found.figures["furthest"] == 1.2
    assert "B08 on 2023-08-15" in found.found


def test_a_date_outside_is_named_with_its_band(dated):
    found = find(dated(0.5, -2.5))
    assert not found.passed
    assert "2023-08-15 (B08 2.5)" in found.todo
    assert find(dated(0.5, -2.5), band_shift=3).passed


def test_dates_without_figures_are_counted(dated):
    assert find(dated(0.5, None)).figures["dates_without_figures"] == 1


def test_without_a_split_there_is_nothing_to_compare(dated):
    world = dated(9.0, 9.0)
    world.paths.split_summary.unlink()
    found = find(world)
    assert found.passed
    assert "no split yet" in found.found
