from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agri_assets.cli import samples as command
from agri_assets.samples.passes import plan_passes
from agri_assets.samples.sky import sun_angles
from agri_assets.samples.tiles import FULL_SIZE, parse_tile, place_windows


@pytest.mark.parametrize(
    ("name", "epsg", "ulx", "uly"),
    [
        ("31TCJ", 32631, 300000, 4900020),
        ("31TDJ", 32631, 399960, 4900020),
        ("33TWL", 32633, 499980, 5100000),
        ("01KAB", 32701, 99960, 8200000),
        ("31tcj ", 32631, 300000, 4900020),
    ],
)
def test_tile_origins_are_those_of_real_products(name, epsg, ulx, uly):
    tile = parse_tile(name)
    assert (tile.epsg, tile.ulx, tile.uly) == (epsg, ulx, uly)


def test_neighbours_get_the_strips_where_they_meet():
    west, east = place_windows(["31TCJ", "31TDJ"], 2046)
    assert west.uly == east.uly
    assert west.ulx + 20460 == west.tile.ulx + FULL_SIZE * 10
    assert east.ulx == east.tile.ulx
    south, north = place_windows(["31TCH", "31TCJ"], 2046)
    assert south.ulx == north.ulx
    assert south.uly == south.tile.uly
    assert north.uly - 20460 == north.tile.uly - FULL_SIZE * 10


@given(
    size=st.integers(48, FULL_SIZE // 2).map(lambda n: n * 2),
    names=st.sets(st.sampled_from(["31TCJ", "31TDJ", "31TCH", "30TYP", "33TWL"]), min_size=1),
)
def test_windows_lie_in_their_tile_on_its_lattice(size, names):
    for window in place_windows(sorted(names), size):
        tile = window.tile
        assert (window.ulx - tile.ulx) % 60 == 0
        assert (tile.uly - window.uly) % 60 == 0
        assert tile.ulx <= window.ulx
        assert window.ulx + size * 10 <= tile.ulx + FULL_SIZE * 10 + 30
        assert window.uly <= tile.uly
        assert window.side(60) * 60 >= size * 10


def test_passes_follow_the_real_orbit():
    tile = parse_tile("31TCJ")
    passes = plan_passes([tile], 3, 1, 1, 0)
    assert [overpass.spacecraft for overpass in passes] == ["S2A", "S2B", "S2A", "S2B"]
    assert [overpass.weather.cloudy for overpass in passes] == [False, False, True, False]
    assert [overpass.damaged for overpass in passes] == [False, False, False, True]
    for overpass in passes:
        # Tile 31TCJ is seen on relative orbits 8 and 51, a little before 11 UTC.
        assert overpass.relative_orbit in (8, 51)
        assert overpass.sensed(tile).hour == 10
        first = 140 if overpass.spacecraft == "S2A" else 26
        assert (overpass.absolute_orbit - first) % 143 == overpass.relative_orbit % 143
    assert "_T31TCJ_" in passes[0].product_name(tile)


def test_sun_stands_where_a_real_product_says():
    """01KAB, 2023-08-21: its metadata's sun grid gives 38.41 and 44.36 degrees at the north-western corner."""
    zenith, azimuth = sun_angles(datetime(2023, 8, 21, 22, 20, 45, tzinfo=UTC), 179.2545, -16.2478)
    assert zenith == pytest.approx(38.41, abs=0.1)
    assert azimuth == pytest.approx(44.36, abs=0.15)
    assert sun_angles(datetime(2023, 6, 21, 12, 0, tzinfo=UTC), 0, 0)[0] == pytest.approx(23.44, abs=0.5)


def test_command_prints_the_products(tmp_path, capsys):
    import argparse

    parser = argparse.ArgumentParser()
    command.configure(parser)
    arguments = [str(tmp_path / "out"), "--tiles", "31TCJ", "--dates", "1", "--cloudy-dates", "0", "--size", "96"]
    assert command.run(parser.parse_args(arguments)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(".SAFE")
    assert lines[-1].startswith("1 products ready")


@pytest.mark.parametrize("names", [("31TCJ", "31TDJ", "31TCH"), ("31TCJ", "31TDJ", "31TDH"), ("31TCJ", "31TDJ")])
def test_tiles_that_share_ground_get_windows_that_share_it(names):
    windows = place_windows(names, 512)
    east = max(window.ulx for window in windows), min(window.ulx for window in windows)
    north = max(window.uly for window in windows), min(window.uly for window in windows)
    assert east[0] - east[1] < 5120
    assert north[0] - north[1] < 5120
