import shutil

import numpy as np
import pytest
import rasterio

from agri_assets.config import Collection
from agri_assets.errors import LabelError, RemoteError
from agri_assets.labels.cover import blocks
from agri_assets.labels.degrees import Degrees
from agri_assets.labels.land_cover import build_land_cover, write_cover
from agri_assets.labels.legend import worldcover_legend
from agri_assets.labels.settings import WorldCoverLabels
from agri_assets.labels.worldcover_sheets import Sheet, Sheets, find_sheets
from agri_assets.labels.worldcover_source import WorldCoverSource
from agri_assets.scenes.grid import TileGrid
from agri_assets.scenes.tile_grid import nominal_grid

TILE = "31TCJ"


def _codes(grid, *files):
    source = WorldCoverSource(grid, Sheets(tuple(Sheet(str(path)) for path in files)), worldcover_legend((40,)))
    out = np.zeros((grid.height, grid.width), np.uint8)
    with source.open() as cover:
        for window in blocks(grid):
            out[window.toslices()] = cover.read(window)
    return out


def _down(degrees):
    """A little west of here, on the edge of a WorldCover pixel."""
    return np.floor(degrees * 12000 - 100) / 12000


def _found(collection, paths, path, **labels):
    from agri_assets.scenes.catalog import catalog_tile

    wanted = WorldCoverLabels(kind="worldcover", path=str(path), **labels)
    return find_sheets(collection, paths, wanted, catalog_tile(paths, TILE).grid)


def _with_path(collection, path, **labels):
    return Collection.model_validate(
        {**collection.model_dump(), "labels": {"kind": "worldcover", "path": str(path), **labels}}
    )


@pytest.mark.parametrize(
    ("tile", "sheets"),
    [
        ("33TWL", {"N45E012", "N45E015"}),
        ("31NAA", {"N00E000"}),
        ("31MAV", {"S03E000"}),
        ("21MYP", {"S06W057", "S09W057"}),
        ("01KAB", {"S18E177", "S18W180"}),
        ("60KZG", {"S18E177", "S18W180"}),
    ],
)
def test_the_sheets_under_a_tile_bear_the_name_of_their_south_western_corner(tile, sheets):
    grid = nominal_grid(tile, 10.0)
    found = Degrees.of(grid.crs, grid.bounds).sheets
    assert sheets <= set(found)
    assert len(found) == len(set(found)) <= 4


def test_the_seam_of_two_sheets_leaves_no_gap(tmp_path, write_worldcover):
    grid = TileGrid(crs="EPSG:32633", transform=(10, 0, 499000, 0, -10, 5100000), height=1200, width=200)
    west, south, east, north = Degrees.of(grid.crs, grid.bounds).boxes[0]
    assert west < 15 < east
    left = write_worldcover(tmp_path / "a.tif", (14.9, south - 0.01, 15.0, north + 0.01), 40)
    right = write_worldcover(tmp_path / "b.tif", (15.0, south - 0.01, 15.1, north + 0.01), 10)
    codes = _codes(grid, left, right)
    assert set(np.unique(codes)) == {10, 40}
    assert (np.diff((codes == 10).astype(int), axis=1) >= 0).all()
    assert (np.argmax(codes == 10, axis=1) == 100).all(), "15 degrees east is this zone's central meridian"


def test_the_antimeridian_is_no_gap(tmp_path, write_worldcover):
    grid = TileGrid(crs="EPSG:32701", transform=(10, 0, 177000, 0, -10, 8120000), height=300, width=900)
    (west, south, _, north), (_, _, east, _) = Degrees.of(grid.crs, grid.bounds).boxes
    before = write_worldcover(tmp_path / "east.tif", (_down(west), south - 0.01, 180.0, north + 0.01), 40)
    after = write_worldcover(tmp_path / "west.tif", (-180.0, south - 0.01, east + 0.01, north + 0.01), 10)
    codes = _codes(grid, before, after)
    assert set(np.unique(codes)) == {10, 40}
    assert (codes[:, 0] == 40).all()
    assert (codes[:, -1] == 10).all()
    assert (np.diff((codes == 10).astype(int), axis=1) >= 0).all()


def test_where_files_overlap_the_first_counts(tmp_path, write_worldcover):
    grid = TileGrid(crs="EPSG:32633", transform=(10, 0, 500000, 0, -10, 5100000), height=50, width=50)
    west, south, east, north = Degrees.of(grid.crs, grid.bounds).boxes[0]
    around = (west - 0.001, south - 0.001, east + 0.001, north + 0.001)
    half = np.where(np.arange(round((north - south + 0.002) * 12000))[:, None] < 20, 0, 40)
    first = write_worldcover(tmp_path / "a.tif", around, half)
    second = write_worldcover(tmp_path / "b.tif", around, 10)
    codes = _codes(grid, first, second)
    assert (codes == 10).any()
    assert (codes == 40).mean() > 0.5
    assert (_codes(grid, second, first) == 10).all()


def test_of_two_editions_in_a_folder_only_the_wanted_year_counts(collection, paths, cover, around, write_worldcover):
    for edition, code in (("2020_v100", 10), ("2021_v200", 40)):
        write_worldcover(cover / f"ESA_WorldCover_10m_{edition}_N42E000_Map.tif", around, code)
    later = build_land_cover(collection, paths, TILE)
    assert [row["class"] for row in later.tables["classes"].rows] == ["Cropland"]
    assert any("1 of 2 files" in warning and "not of 2021" in warning for warning in later.warnings)
    earlier = build_land_cover(_with_path(collection, cover, year=2020), paths, TILE)
    assert [row["class"] for row in earlier.tables["classes"].rows] == ["Tree cover"]
    (cover / "ESA_WorldCover_10m_2021_v200_N42E000_Map.tif").unlink()
    with pytest.raises(LabelError, match="not of 2021 and were left out"):
        build_land_cover(collection, paths, TILE)
    named = next(cover.iterdir())
    assert _found(collection, paths, named).notes[0].startswith("labels.path names the edition of 2020")


def test_a_template_names_the_sheets_and_the_sea_has_none(collection, paths, site, around, write_worldcover):
    write_worldcover(site.folder / "N42E000.tif", around, 40)
    address = site.at("{tile}.tif")
    outcome = build_land_cover(_with_path(collection, address), paths, TILE)
    assert outcome.metadata["files"] == "N42E000.tif"
    assert outcome.metadata["not_covered"] == 0
    local = build_land_cover(_with_path(collection, site.folder / "{tile}.tif"), paths, TILE)
    with rasterio.open(local.path) as there:
        assert (there.read(1) == 40).all()
    (site.folder / "N42E000.tif").unlink()
    with pytest.raises(LabelError, match=f"tile {TILE}: .*whole tile is sea"):
        build_land_cover(_with_path(collection, address), paths, TILE)


def test_a_host_that_fails_gives_no_land_cover(collection, paths, site, around, write_worldcover):
    write_worldcover(site.folder / "N42E000.tif", around)
    there = _with_path(collection, site.at("{tile}.tif"))
    site.fail("N42E000.tif", "status", times=100, status=503)
    with pytest.raises(RemoteError, match=r"N42E000\.tif"):
        build_land_cover(there, paths, TILE)
    assert not paths.land_cover(TILE).exists()


def test_a_connection_cut_at_any_moment_changes_no_pixel(collection, paths, site, around, write_worldcover):
    write_worldcover(site.folder / "N42E000.tif", around)
    there = _with_path(collection, site.at("N42E000.tif"))
    whole = build_land_cover(there, paths, TILE)
    paths.receipt("land_cover", TILE).unlink()
    site.fail("N42E000.tif", "cut", times=2)
    assert build_land_cover(there, paths, TILE).data_version == whole.data_version


def test_a_truncated_file_is_refused_not_read_as_no_class(collection, paths, site, around, write_worldcover):
    path = write_worldcover(site.folder / "N42E000.tif", around)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    for place in (site.at("N42E000.tif"), path):
        with pytest.raises((LabelError, RemoteError), match=r"N42E000\.tif"):
            build_land_cover(_with_path(collection, place), paths, TILE)


def _item(site, name, year, box, **asset):
    west, south, east, north = box
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "collection": "esa-worldcover",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": list(box),
        "properties": {
            "datetime": None,
            "start_datetime": f"{year}-01-01T00:00:00Z",
            "end_datetime": f"{year}-12-31T23:59:59Z",
        },
        "assets": {"map": {"href": site.at(f"{name}.tif"), "type": "image/tiff", **asset}},
    }


def test_an_api_is_searched_and_its_signed_files_read(collection, paths, site, stac_api, around, write_worldcover):
    west, south, east, north = around
    middle = west + round((east - west) / 2 * 12000) / 12000
    for name, box, code in (
        ("left", (west, south, middle, north), 40),
        ("right", (middle, south, east, north), 10),
        ("older", around, 80),
        ("far", (100, 10, 100.1, 10.1), 80),
    ):
        write_worldcover(site.folder / f"{name}.tif", box, code)
    site.protected = ("/left.tif", "/right.tif")
    items = [
        _item(site, "right", 2021, (middle, south, east, north)),
        _item(site, "older", 2020, around),
        _item(site, "left", 2021, (west, south, middle, north)),
        _item(site, "far", 2021, (100, 10, 100.1, 10.1)),
    ]
    for item in items:
        # the little server compares plain times; real ones know intervals
        item["properties"]["datetime"] = item["properties"]["start_datetime"]
    # and one that does not look at dates at all
    items[1]["properties"].pop("datetime")
    api = stac_api(site, items, page=1)
    outcome = build_land_cover(_with_path(collection, api.url, sign=site.sas), paths, TILE)
    assert outcome.metadata["files"] == "left.tif, right.tif"
    assert outcome.metadata["not_covered"] == 0
    assert {row["class"] for row in outcome.tables["classes"].rows} == {"Cropland", "Tree cover"}
    stored = paths.receipt("land_cover", TILE).read_text()
    assert "sig=" not in stored
    empty = stac_api(site, items[1:2])
    with pytest.raises(LabelError, match=f"tile {TILE}: no WorldCover file"):
        build_land_cover(_with_path(collection, empty.url), paths, TILE)


def test_a_stac_item_on_disk_leads_to_the_file_beside_it(shared_data, tmp_path):
    grid = TileGrid(crs="EPSG:32632", transform=(10, 0, 232000, 0, -10, 24000), height=256, width=256)
    item = next((shared_data / "worldcover").glob("*.json"))
    labels = WorldCoverLabels(kind="worldcover", path=str(item))
    found = find_sheets(None, None, labels, grid)
    assert [sheet.name for sheet in found.found] == ["ESA_WorldCover_10m_2021_v200_N00E006_Map.tif"]
    alone = shutil.copy(item, tmp_path)
    with pytest.raises(LabelError, match="cannot be opened"):
        find_sheets(None, None, labels.model_copy(update={"path": str(alone)}), grid)


def test_a_document_that_is_no_worldcover_item_is_refused(tmp_path):
    grid = TileGrid(crs="EPSG:32632", transform=(10, 0, 232000, 0, -10, 24000), height=8, width=8)
    path = tmp_path / "item.json"
    labels = WorldCoverLabels(kind="worldcover", path=str(path))
    for text in ("{", "[]", '{"type": "Feature", "properties": {}, "assets": {"thumb": {"href": "a.png"}}}'):
        path.write_text(text)
        with pytest.raises(LabelError, match=r"item\.json"):
            find_sheets(None, None, labels, grid)


def test_the_real_file_is_read_by_window(shared_data, tmp_path):
    file = next((shared_data / "worldcover").glob("*.tif"))
    # a kilometre or two of São Tomé
    grid = TileGrid(crs="EPSG:32632", transform=(10, 0, 232000, 0, -10, 24000), height=256, width=256)
    labels = WorldCoverLabels(kind="worldcover", path=str(file))
    with WorldCoverSource(grid, find_sheets(None, None, labels, grid), worldcover_legend((40,))).open() as cover:
        _, counts = write_cover(tmp_path / "cover.tif", grid, cover, "test")
    assert counts.sum() == 256 * 256
    assert counts[10] > 0
    assert counts[0] < counts.sum()


def test_beside_the_maps_of_a_folder_nothing_else_counts(collection, paths, cover, around, write_worldcover):
    write_worldcover(cover / "ESA_WorldCover_10m_2021_v200_N42E000_Map.tif", around, 40)
    write_worldcover(
        cover / "ESA_WorldCover_10m_2021_v200_N42E000_InputQuality.tif", around, 10, dtype="int16", bands=3
    )
    write_worldcover(cover / "A_quicklook.tif", around, 10)
    (cover / "broken.tif").write_text("no raster")
    outcome = build_land_cover(collection, paths, TILE)
    assert [row["class"] for row in outcome.tables["classes"].rows] == ["Cropland"]
    assert any("3 of 4 files" in told and "not named as the maps" in told for told in outcome.warnings)
    named = build_land_cover(_with_path(collection, cover / "A_quicklook.tif"), paths, TILE)
    assert [row["class"] for row in named.tables["classes"].rows] == ["Tree cover"]


def test_what_is_told_of_the_choice_follows_the_way_of_naming(collection, paths, cover, around, write_worldcover):
    map_of = "ESA_WorldCover_10m_{}_N42E000_Map.tif".format
    older = write_worldcover(cover / map_of("2020_v100"), around, 40)
    write_worldcover(cover / map_of("2021_v200"), around, 10)
    folder = build_land_cover(_with_path(collection, cover, year=2020), paths, TILE)
    assert "1 of 2 files" in folder.warnings[0]
    named = build_land_cover(_with_path(collection, older), paths, TILE)
    assert named.warnings == ("labels.path names the edition of 2020; it counts, not year: 2021",)
    assert named.data_version == folder.data_version


def test_damaged_pixels_are_told_with_what_to_do(collection, paths, site, around, write_worldcover):
    name = "ESA_WorldCover_10m_2021_v200_N42E000_Map.tif"
    path = write_worldcover(site.folder / "whole.tif", around)
    with rasterio.open(path) as whole:
        profile = {**whole.profile, "compress": "deflate", "tiled": True, "blockxsize": 128, "blockysize": 128}
        with rasterio.open(site.folder / name, "w", **profile) as out:
            out.write(whole.read())
    content = bytearray((site.folder / name).read_bytes())
    content[len(content) // 3 : -3000] = bytes(len(content) - 3000 - len(content) // 3)
    (site.folder / name).write_bytes(content)
    for place in (site.folder / name, site.at(name)):
        with pytest.raises(LabelError, match=f"{name}: .*; damaged, fetch it again$") as caught:
            build_land_cover(_with_path(collection, place), paths, TILE)
        assert "vsi" not in str(caught.value)


def test_a_stac_item_at_an_address_leads_to_its_map(collection, paths, site, around, write_worldcover):
    write_worldcover(site.folder / "cover.tif", around, 40)
    (site.folder / "deep").mkdir()
    for href in ("../cover.tif", site.at("cover.tif")):
        site.documents["/deep/item.json"] = _item(site, "cover", 2021, around, href=href)
        outcome = build_land_cover(_with_path(collection, site.at("deep/item.json")), paths, TILE)
        assert outcome.metadata["files"] == "cover.tif"
        assert outcome.metadata["not_covered"] == 0


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({"type": "Feature", "properties": {}, "assets": {}}, "not a WorldCover item"),
        ({"type": "FeatureCollection", "features": []}, "does not answer as a STAC API does"),
        ({"type": "Catalog", "id": "a", "stac_version": "1.0.0", "description": "", "links": []}, "no STAC API"),
        ({}, "does not answer as a STAC API does"),
        ([], "does not answer as a STAC API does"),
        (3, "does not answer as a STAC API does"),
    ],
)
@pytest.mark.filterwarnings("ignore::pystac_client.warnings.NoConformsTo")
def test_other_documents_at_an_address_are_told_in_one_line(collection, paths, site, document, why):
    site.documents["/item.json"] = document
    with pytest.raises(LabelError, match=rf"/item\.json: .*{why}") as caught:
        build_land_cover(_with_path(collection, site.at("item.json")), paths, TILE)
    assert "\n" not in str(caught.value)
