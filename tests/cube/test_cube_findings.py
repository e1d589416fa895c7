"""What the checks of a cube find, also when nothing was done, and the figures that dates leave of their bands."""

import numpy as np
import pytest

from agri_assets.cube.build import build_cube
from agri_assets.cube.findings import cube_findings
from agri_assets.cube.looks import Thinning
from agri_assets.cube.manifest import manifest_path, read_manifest
from agri_assets.cube.open import cube_info, open_reflectance, read_block
from agri_assets.limits import Limits


def build(site, *records):
    site.inventory(*records)
    return build_cube(site.collection, site.paths, "33TWL")


def find(site, outcome, **limits):
    collection = site.collection.model_copy(update={"limits": Limits(**limits)})
    return {finding.name: finding for finding in cube_findings(collection, outcome)}


def test_cloudy_tiles_are_told_by_the_limit_of_today(small):
    outcome = build(small, small.scene("2023-08-10", scl=9), small.scene("2023-08-15", seed=1))
    found = find(small, outcome)["clear_fraction"]
    assert found.passed
    assert found.figures["dates"] == 2
    assert 0.4 < found.figures["least_clear"] < 0.51
    assert "least on 2023-08-10" in found.found
    again = build_cube(small.collection, small.paths, "33TWL")
    assert again.reused
    stricter = find(small, again, clear_fraction=0.9)["clear_fraction"]
    assert not stricter.passed
    assert "limits.clear_fraction (0.9)" in stricter.todo


def test_a_date_that_vanished_is_missing_as_long_as_it_is_away(small):
    first, second = small.scene("2023-08-10"), small.scene("2023-08-15", seed=1)
    assert find(small, build(small, first, second))["no_missing_scenes"].passed
    fewer = build(small, first)
    last = small.scene("2023-08-20", seed=2)
    for outcome in (fewer, build(small, first, last)):
        found = find(small, outcome)["no_missing_scenes"]
        assert not found.passed
        assert "were there and are no more (2023-08-15)" in found.found
    assert find(small, build(small, first, second, last))["no_missing_scenes"].passed


def test_a_day_that_is_not_asked_for_any_more_is_not_missing(small):
    first, second = small.scene("2023-08-10"), small.scene("2023-08-15", seed=1)
    build(small, first, second)
    outcome = build(small, first)
    source = small.collection.source.model_copy(update={"dates": "2023-08-01/2023-08-14"})
    narrower = small.collection.model_copy(update={"source": source})
    assert cube_findings(narrower, outcome)[1].passed


def test_a_date_that_could_not_be_built_is_missing(small):
    good, bad = small.scene("2023-08-10"), small.scene("2023-08-15", seed=1)
    (small.inbox / "2023-08-15-10-1" / "B02.tif").write_bytes(b"not a raster")
    found = find(small, build(small, good, bad))["no_missing_scenes"]
    assert not found.passed
    assert found.figures["refused"] == 1


@pytest.mark.parametrize("scl", [4, 9])
def test_a_date_keeps_figures_of_its_clear_pixels(site, scl):
    build(site, site.scene("2023-08-10", scl=scl, hole=slice(0, 546)))
    cube = site.paths.cube("33TWL")
    info = cube_info(cube)
    figures = read_manifest(manifest_path(cube, 0)).bands
    assert [one.band for one in figures] == ["B02", "B08", "B11"]
    step = Thinning.of(info).step
    assert step == 3
    pixels = read_block(open_reflectance(cube), 0, 0, 0, (info.height, info.width))[:, ::step, ::step]
    clear = (pixels > 0).all(axis=0)
    if scl == 9:
        clear[:, : clear.shape[1] // 2 + 12] = False  # clouds are grown
    for one, values in zip(figures, pixels, strict=True):
        assert one.mean == pytest.approx(values[clear].mean(), rel=0.02)
        assert one.std == pytest.approx(values[clear].std(), rel=0.02)
        assert one.low < one.median < one.high
        assert one.median == pytest.approx(np.median(values[clear]), rel=0.02)


def test_a_date_without_clear_ground_has_no_figures(small):
    record = small.scene("2023-08-10", scl=9)
    clouds = small.collection.clouds.model_copy(update={"not_clear": (4, 9)})
    small.inventory(record)
    build_cube(small.collection.model_copy(update={"clouds": clouds}), small.paths, "33TWL")
    assert read_manifest(manifest_path(small.paths.cube("33TWL"), 0)).bands == ()
