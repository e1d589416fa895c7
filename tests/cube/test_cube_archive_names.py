"""What names and georeferenced files tell of an archive's images, and what is made of it in the index."""

import shutil
from pathlib import Path

import h3
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pyproj import Transformer

from agri_assets.cube.archive import build_archive_cube
from agri_assets.cube.archive_ground import Place, named_places, outlines, utm
from agri_assets.cube.archive_names import Cut, NameFacts, Point, read_names
from agri_assets.cube.index import read_index
from agri_assets.errors import ArchiveError
from agri_assets.scenes.grid import TileGrid
from agri_assets.scenes.settings import ArchiveSource
from agri_assets.scenes.tile_grid import nominal_grid
from agri_assets.store.layout import ARCHIVE_TILE

PRODUCT = r"(?P<group>S2[ABC]_MSIL2A_(?P<date>\d{8}T\d{6})_N\d{4}_R\d{3}_T\w{5}_\w+)_(?P<number>\d+)\.png$"
PATCH = r"(?P<group>S2[AB]_MSIL2A_(?P<date>\d{8}T\d{6})_\w+_T(?P<tile>\w{5}))_(?P<col>\d+)_(?P<row>\d+)\."
POSITION = r"tile_(?P<tile>\w{5})_r(?P<row>\d+)_c(?P<col>\d+)(?:_(?P<date>\d{8}))?"
LONLAT = r"_(?P<lon>-?[\d.]+)_(?P<lat>-?[\d.]+)_(?P<date>\d{4}-\d\d-\d\d)\.png$"


def source(pattern: str | None) -> ArchiveSource:
    return ArchiveSource(kind="archive", path=Path("set"), pattern=pattern)


def read(pattern: str | None, *names: str, tile_size: int = 64) -> list[NameFacts | None]:
    return read_names(names, source(pattern), tile_size)


def test_names_of_real_sets():
    product = "S2A_MSIL2A_20180721T053721_N0212_R062_T43MDV_20180721T073722"
    assert read(None, "AnnualCrop/AnnualCrop_12.jpg") == [None]
    assert read(PRODUCT, f"Crop/{product}_1234.png") == [NameFacts(product, "2018-07-21")]
    patch = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP"
    assert read(PATCH, f"Crop/{patch}_87_48.tif", tile_size=120) == [
        NameFacts(patch, "2017-06-13", Cut("33UUP", 48, 87))
    ]
    assert read(POSITION, "class_0_non_agri/tile_33TWL_r012_c034_20230815.tif", "class_0_non_agri/odd.tif") == [
        NameFacts(None, "2023-08-15", Cut("33TWL", 12, 34)),
        None,
    ]
    assert read(LONLAT, "a/x_-12.345_5.67_2018-07-21.png") == [
        NameFacts(None, "2018-07-21", Point(-12.345, 5.67, 0.001))
    ]


POINT = r"_(?P<lon>-?[\d.]+)_(?P<lat>-?[\d.]+)\.png$"


def steps(*pairs: tuple[str, str]) -> list[float]:
    return [fact.place.step for fact in read(POINT, *(f"a/x_{lon}_{lat}.png" for lon, lat in pairs))]


def test_zeros_that_a_name_lost_make_it_no_less_exact():
    """Names written by `str()` drop the zeros at the end."""
    rng = np.random.default_rng(5)
    angles = np.round(rng.uniform(-80, 80, (900, 2)), 4)
    assert min(len(str(angle).split(".")[1]) for angle in angles.ravel()) <= 2
    assert set(steps(*((str(lon), str(lat)) for lon, lat in angles))) == {1e-4}
    padded = [(f"{lon:.5f}", f"{lat:.5f}") for lon, lat in angles[:300]]
    assert set(steps(*padded, ("10.5", "45"))) == {1e-5}
    assert set(steps(("10", "45"), ("11", "46"))) == {1.0}


def test_too_many_short_names_are_taken_at_their_word():
    rng = np.random.default_rng(6)
    sound = [(f"{lon:.5f}", f"{lat:.5f}") for lon, lat in rng.uniform(-80, 80, (200, 2))]
    vague = [(f"{lon:.1f}", f"{lat:.1f}") for lon, lat in rng.uniform(-80, 80, (30, 2))]
    found = steps(*sound, *vague)
    assert set(found[:200]) == {1e-5}
    assert set(found[200:]) == {0.1}


@given(st.integers(2, 7), st.integers(20, 200), st.integers(0, 2**32 - 1))
def test_an_archive_of_rounded_angles_has_one_precision(decimals, count, seed):
    angles = np.round(np.random.default_rng(seed).uniform(-80, 80, (count, 2)), decimals)
    found = steps(*((str(lon), str(lat)) for lon, lat in angles))
    assert np.mean(np.isclose(found, 10.0**-decimals)) > 0.9


def test_an_empty_group_is_no_group():
    assert read(r"/(?P<group>P?)_(?P<date>\d{8})?", "a/_x.png", "a/P_20210101.png", "a/_20210101.png") == [
        None,
        NameFacts("P", "2021-01-01"),
        NameFacts(None, "2021-01-01"),
    ]
    with pytest.raises(ArchiveError, match="matches none of 1 images"):
        read(r"(?P<group>P?)", "a/x.png")


@pytest.mark.parametrize(
    ("pattern", "name", "message"),
    [
        (r"(?P<date>\d{8})", "a/20231301.png", "`date` '20231301' is not a day"),
        (r"(?P<date>\d+)", "a/2023.png", "`date` '2023' is not a day"),
        (r"/(?P<lon>\S+),(?P<lat>\S+)\.png", "a/12.5,95.png", "`lat` '95' is not an angle"),
        (r"/(?P<lon>\S+),(?P<lat>\S+)\.png", "a/nan,5.png", "`lon` 'nan' is not an angle"),
        (POSITION, "a/tile_33TZZ_r1_c1.png", "'33TZZ' is not an MGRS tile"),
        (POSITION, "a/tile_33TWL_r1_c171.png", "`col` '171' is not in tile 33TWL, which has 171 of 64 px"),
        (r"(?P<group>p)(?P<number>\w+)", "a/px.png", "`number` 'x' is not a number"),
        (POSITION, "a/b.png", "matches none of 1 images, the first a/b.png"),
    ],
)
def test_what_cannot_be_is_refused_by_name(pattern, name, message):
    with pytest.raises(ArchiveError) as caught:
        read(pattern, name)
    assert message in str(caught.value)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=30), st.sampled_from([r"(?P<date>.+)", r"(?P<lon>.+),(?P<lat>.+)", POSITION, PRODUCT]))
def test_any_name_is_read_or_refused(name, pattern):
    try:
        facts = read(pattern, name)[0]
    except ArchiveError:
        return
    assert facts is not None


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(?P<group>x", "no regular expression"),
        ("x(\\d+)", "names no group"),
        ("(?P<place>x)", "names a group 'place'; it may name group, date"),
        ("(?P<lon>x)", "'lon' without 'lat'"),
        ("(?P<lat>x)", "'lat' without 'lon'"),
        ("(?P<row>x)(?P<col>y)", "'row' without 'tile'"),
        ("(?P<tile>x)", "a tile alone is a `group`"),
        ("(?P<number>x)", "without the 'group'"),
        ("(?P<group>x)\n", "one line"),
    ],
)
def test_a_pattern_that_tells_nothing_is_refused(pattern, message):
    with pytest.raises(ValidationError, match=message):
        source(pattern)


def test_a_blank_pattern_is_none():
    assert source(" ").pattern is None


def test_a_square_of_a_tile_lies_where_the_tile_does():
    grid = nominal_grid("33TWL", 10.0)
    place = named_places([Cut("33TWL", 12, 34)], 64)
    assert place == [
        Place(grid.crs, (10.0, 0.0, grid.transform[2] + 34 * 640, 0.0, -10.0, grid.transform[5] - 12 * 640))
    ]
    found = outlines(place, ["x"], 64)
    left, bottom, right, top = TileGrid.position_bounds(grid, 12, 34, 64)
    x, y = Transformer.from_crs("EPSG:4326", grid.crs, always_xy=True).transform(
        *shapely.get_coordinates(found.shape).T
    )
    assert (x.min(), y.min(), x.max(), y.max()) == pytest.approx((left, bottom, right, top), abs=1e-3)


@given(st.floats(-180, 180), st.floats(-89, 89), st.sampled_from([1e-4, 1e-6]))
def test_the_square_around_a_point_holds_it_anywhere(lon, lat, step):
    found = outlines(named_places([None, Point(lon, lat, step)], 64), ["a", "b"], 64)
    assert found.shape[0] is None
    assert np.isnan(found.lon[0])
    turn = (found.lon[1] - lon + 180) % 360 - 180
    assert abs(turn) * np.cos(np.radians(lat)) < 1e-5
    assert found.lat[1] == pytest.approx(lat, abs=1e-6)
    west, south, east, north = shapely.bounds(shapely.get_parts(found.shape[1:])).T
    assert (west >= -180).all()
    assert (east <= 180).all()
    assert (north - south).max() < 0.02
    assert utm(lon, lat).startswith("EPSG:32")


def write_tiff(path: Path, pixels: np.ndarray, crs: str | None, corner: tuple[float, float]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    transform = rasterio.Affine(10, 0, corner[0], 0, -10, corner[1]) if crs else None
    profile = {"driver": "GTiff", "width": 32, "height": 32, "count": 3, "dtype": "uint16"}
    with rasterio.open(path, "w", crs=crs, transform=transform, **profile) as dataset:
        dataset.write(pixels)


@pytest.fixture
def tiffs(tmp_path):
    """Six images in two zones (one across 180 degrees), and one that knows nothing."""
    rng = np.random.default_rng(0)
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:32701", always_xy=True).transform(-180.0, -17.0)
    for number in range(6):
        corner = (500_000 + 320 * number, 5_100_000) if number < 5 else (x - 100, y)
        pixels = rng.integers(1, 9000, (3, 32, 32), dtype=np.uint16)
        kind = "Crop" if number % 2 else "Forest"
        name = f"tile_33TWL_r{number:03d}_c000_20230815.tif"
        write_tiff(tmp_path / "tiffs" / kind / name, pixels, "EPSG:32633" if number < 5 else "EPSG:32701", corner)
    write_tiff(
        tmp_path / "tiffs" / "Forest" / "loose.tif", rng.integers(1, 9000, (3, 32, 32), dtype=np.uint16), None, (0, 0)
    )
    return tmp_path / "tiffs"


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_georeferenced_files_tell_their_own_place(archive, tiffs):
    outcome = build_archive_cube(archive.collection(tiffs), archive.paths)
    index = read_index(archive.paths.tiles(ARCHIVE_TILE)).set_index("name")
    assert index["geometry"].isna().sum() == 1
    assert outcome.metadata["on_known_ground"] == 6
    assert outcome.warnings == ()
    assert index["date"].isna().all()
    corner = Transformer.from_crs("EPSG:32633", "EPSG:4326", always_xy=True).transform(500_160, 5_099_840)
    assert index.loc["tile_33TWL_r000_c000_20230815.tif", "cell"] == h3.latlng_to_cell(corner[1], corner[0], 6)
    assert len(index.loc["loose.tif", "cell"]) == 64
    kinds = shapely.get_type_id(shapely.from_wkb(index["geometry"].to_numpy(object)))
    assert (kinds == shapely.GeometryType.MULTIPOLYGON).sum() == 1
    import geopandas as gpd

    frame = gpd.read_parquet(archive.paths.tiles(ARCHIVE_TILE))
    assert frame.crs.to_epsg() == 4326


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_files_are_believed_where_names_say_otherwise(archive, tiffs):
    build_archive_cube(archive.collection(tiffs), archive.paths)
    before = read_index(archive.paths.tiles(ARCHIVE_TILE))
    outcome = build_archive_cube(archive.collection(tiffs, source={"pattern": POSITION}), archive.paths)
    after = read_index(archive.paths.tiles(ARCHIVE_TILE))
    assert (before["cell"] == after["cell"]).all()
    assert (before["geometry"].dropna() == after["geometry"].dropna()).all()
    assert set(after["date"].dropna()) == {"2023-08-15"}
    text = " | ".join(outcome.warnings)
    assert "does not match 1 of 7 images, the first Forest/loose.tif" in text
    assert "4 images lie elsewhere than their names say" in text
    assert "index rebuilt" in outcome.summary


def test_a_new_pattern_reads_no_image_and_changes_the_version(archive, monkeypatch):
    first = build_archive_cube(archive.collection(), archive.paths)
    monkeypatch.setattr("agri_assets.cube.archive.write_archive", lambda *_: pytest.fail("images were read again"))
    pattern = r"_(?P<group>1?\d)\.png"
    second = build_archive_cube(archive.collection(source={"pattern": pattern}), archive.paths)
    index = read_index(archive.paths.tiles(ARCHIVE_TILE))
    assert index["group"].nunique() == index["cell"].nunique() == 15
    assert (index.groupby("group")["cell"].nunique() == 1).all()
    assert second.data_version != first.data_version
    assert second.metadata["groups"] == 15


def test_a_changed_pixel_changes_the_version_where_cells_do_not_tell(archive, make_png):
    collection = archive.collection(source={"pattern": r"(?P<group>Crop|Forest|Water)"})
    first = build_archive_cube(collection, archive.paths)
    (archive.folder / "Crop" / "Crop_0.png").write_bytes(make_png(999))
    assert build_archive_cube(collection, archive.paths).data_version != first.data_version


def test_the_same_pixels_with_opposite_labels_are_reported(archive):
    shutil.copy(archive.folder / "Crop" / "Crop_3.png", archive.folder / "Water" / "twin.png")
    shutil.copy(archive.folder / "Forest" / "Forest_1.png", archive.folder / "Water" / "harmless.png")
    outcome = build_archive_cube(archive.collection(), archive.paths)
    assert len(outcome.warnings) == 1
    assert "2 images have the pixels of an image of the opposite label" in outcome.warnings[0]
    assert "Crop/Crop_3.png and Water/twin.png" in outcome.warnings[0]


def test_bad_names_are_found_before_images_are_read(archive, monkeypatch):
    monkeypatch.setattr("agri_assets.cube.archive.write_archive", lambda *_: pytest.fail("images were read"))
    with pytest.raises(ArchiveError, match="`date` '1' is not a day"):
        build_archive_cube(archive.collection(source={"pattern": r"Crop_(?P<date>1)\.png"}), archive.paths)


def test_a_position_nowhere_on_earth_is_refused():
    with pytest.raises(ArchiveError, match="b: its CRS and transform put it nowhere on Earth"):
        outlines([None, Place("EPSG:4326", (1.0, 0.0, 0.0, 0.0, -1.0, 200.0))], ["a", "b"], 32)
    with pytest.raises(ArchiveError, match="nowhere on Earth"):
        outlines([Place("EPSG:32633", (1e30, 0.0, 1e33, 0.0, -1e30, 0.0))], ["a"], 32)
    with pytest.raises(ArchiveError, match="cannot be used"):
        outlines([Place("no crs", (1.0, 0.0, 0.0, 0.0, -1.0, 0.0))], ["a"], 32)


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:32633", (0.0, 0.0, 3e5, 0.0, 0.0, 5e6)),
        ("EPSG:32633", (0.001, 0.0, 3e5, 0.0, -0.001, 5e6)),
        ("EPSG:32633", (10.0, 0.0, 3e5, 0.0, 0.0, 5e6)),
        ("EPSG:32633", (10.0, 10.0, 3e5, 10.0, 10.0, 5e6)),
        ("EPSG:4326", (1e-9, 0.0, 15.0, 0.0, -1e-9, 45.0)),
        ("EPSG:4326", (1.0, 0.0, 15.0, 0.0, -1.0, 45.0)),
        ("EPSG:32633", (9000.0, 0.0, 3e5, 0.0, -9000.0, 5e6)),
    ],
)
def test_a_pixel_grid_of_no_size_tells_no_place(crs, transform):
    found = outlines([Place(crs, transform), Place("EPSG:32633", (10.0, 0.0, 3e5, 0.0, -10.0, 5e6))], ["a", "b"], 32)
    assert found.shape[0] is None
    assert np.isnan([found.lon[0], found.lat[0], found.span[0]]).all()
    assert found.span[1] == pytest.approx(320 * np.sqrt(2), rel=5e-3)


@pytest.mark.parametrize("edge", [0.11, 0.3, 60.0, 1000.0])
def test_sane_pixel_sizes_tell_their_place(edge):
    found = outlines([Place("EPSG:32633", (0.0, edge, 3e5, edge, 0.0, 5e6))], ["a"], 32)
    assert found.shape[0].area > 0


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_odd_and_sizeless_images_are_named(archive, tiffs):
    rng = np.random.default_rng(1)
    for name, edge in (("none.tif", 0.001), ("wide.tif", 60.0), ("wider.tif", 1000.0)):
        profile = {"driver": "GTiff", "width": 32, "height": 32, "count": 3, "dtype": "uint16", "crs": "EPSG:32633"}
        transform = rasterio.Affine(edge, 0, 500_000, 0, -edge, 5_100_000)
        with rasterio.open(tiffs / "Forest" / name, "w", transform=transform, **profile) as dataset:
            dataset.write(rng.integers(1, 9000, (3, 32, 32), dtype=np.uint16))
    outcome = build_archive_cube(archive.collection(tiffs), archive.paths)
    assert outcome.metadata["on_known_ground"] == 8
    assert (
        "1 images have pixels under 0.1 m or span over 200 km by their files, the first Forest/none.tif"
        in (outcome.warnings[0])
    )
    assert "2 of 8 images cover far wider ground than most, the first Forest/wide.tif" in outcome.warnings[1]
    index = read_index(archive.paths.tiles(ARCHIVE_TILE)).set_index("name")
    assert index["geometry"].isna().sum() == 2


def test_longitudes_beyond_180_are_brought_back():
    found = outlines([Place("EPSG:4326", (0.001, 0.0, 200.0, 0.0, -0.001, 10.0))], ["a"], 32)
    assert found.lon[0] == pytest.approx(-159.984)
    assert pd.notna(found.shape[0].area)
