import contextlib
import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pyogrio
import pytest
import rasterio
import shapely
from rasterio.features import shapes
from rasterio.transform import Affine
from scipy import ndimage

from agri_assets.config import Collection
from agri_assets.cube.land_index import label_positions
from agri_assets.cube.land_shares import read_land_shares
from agri_assets.errors import LabelError
from agri_assets.labels import parcels as parcels_module
from agri_assets.labels.cover import blocks
from agri_assets.labels.land_cover import build_land_cover
from agri_assets.labels.parcel_shapes import shapes_over
from agri_assets.labels.parcels import ParcelSource
from agri_assets.labels.settings import LandLabels, ParcelLabels
from agri_assets.labels.worldcover import NAMES
from agri_assets.scenes.catalog import catalog_tile
from agri_assets.scenes.grid import TileGrid

TILE = "31TCJ"
CRSES = ("EPSG:4326", "EPSG:3035", "EPSG:32631")
FORMATS = ("parquet", "gpkg", "shp", "geojson")


@pytest.fixture
def grid(collection, paths):
    return catalog_tile(paths, TILE).grid


@pytest.fixture
def drawn(grid, truth):
    """The generator's truth as parcels in the tile's CRS, with the class as `crop`."""
    found = list(shapes(truth(grid), transform=Affine(*grid.transform)))
    names = [NAMES[int(code)] for _, code in found]
    return gpd.GeoDataFrame({"crop": names}, geometry=[shapely.geometry.shape(one) for one, _ in found], crs=grid.crs)


@pytest.fixture
def mapping(tmp_path):
    path = tmp_path / "classes.yaml"
    path.write_text(
        "".join(f"{name}: {'agricultural' if name == 'Cropland' else 'other'}\n" for name in NAMES.values())
    )
    return path


@pytest.fixture
def labelled(collection, mapping):
    """The collection labelled by parcels: (path, **labels)."""

    def make(path, **labels):
        wanted = {"kind": "parcels", "path": str(path), "attribute": "crop", "mapping": str(mapping), **labels}
        wanted = {key: value for key, value in wanted.items() if value is not None}
        return Collection.model_validate({**collection.model_dump(), "labels": wanted})

    return make


def save(frame, path):
    if path.suffix == ".parquet":
        frame.to_parquet(path, row_group_size=50)
    elif path.suffix == ".geojson":
        frame.to_crs("EPSG:4326").to_file(path) if frame.crs else frame.to_file(path)
    else:
        frame.to_file(path)
    return path


def codes_of(outcome):
    with rasterio.open(outcome.path) as found:
        return found.read(1)


def agricultural(outcome):
    rows = outcome.tables["classes"].rows
    return np.isin(codes_of(outcome), [row["code"] for row in rows if row["agricultural"]])


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("crs", CRSES)
def test_parcels_give_the_labels_of_the_ground_they_were_drawn_from(
    samples, paths, grid, truth, drawn, labelled, tmp_path, suffix, crs
):
    collection = labelled(save(drawn.to_crs(crs), tmp_path / f"parcels.{suffix}"))
    outcome = build_land_cover(collection, paths, TILE)
    crops = truth(grid) == 40
    # reprojected vertices are off by nanometres, or by what the format rounds them to: less than the drawing's lattice
    assert (agricultural(outcome) == crops).all()
    assert outcome.metadata["not_covered"] == 0
    assert outcome.metadata["parcels"] == len(drawn)
    assert outcome.pictures["land cover"].stat().st_size < 80_000
    mine = read_land_shares(outcome.path, grid, 64, collection.labels)
    cover = collection.model_copy(update={"source": collection.source, "labels": _worldcover(samples)})
    other = build_land_cover(cover, paths, TILE)
    edge = ndimage.binary_dilation(_rim(truth(grid)), iterations=1)
    assert (agricultural(other) == crops)[~edge].all()
    theirs = read_land_shares(other.path, grid, 64, cover.labels)
    labels, _ = label_positions(mine, LandLabels())
    expected, _ = label_positions(theirs, LandLabels())
    clear = np.all([abs(theirs.cropland - limit) > 0.02 for limit in (0.2, 0.5)], axis=0)
    assert clear.sum() > len(clear) / 2
    assert list(labels[clear]) == list(expected[clear])
    assert np.abs(mine.cropland - theirs.cropland).max() < 0.05


def _worldcover(samples):
    settings = {"kind": "worldcover", "path": str(samples / "land_cover")}
    made = {"name": "x", "source": {"kind": "safe", "path": "."}, "bands": ["B02"], "labels": settings}
    return Collection.model_validate(made).labels


def _rim(codes):
    """Pixels with a neighbour of another class."""
    return ndimage.maximum_filter(codes, 3) != ndimage.minimum_filter(codes, 3)


def test_the_crop_is_carried_through_to_the_index(paths, grid, truth, drawn, labelled, tmp_path):
    outcome = build_land_cover(labelled(save(drawn, tmp_path / "parcels.gpkg")), paths, TILE)
    labels = labelled(tmp_path / "parcels.gpkg").labels
    shares = read_land_shares(outcome.path, grid, 64, labels)
    first = truth(grid)[:64, :64]
    present, counts = np.unique(first, return_counts=True)
    assert shares.majority[0] == NAMES[int(present[counts.argmax()])]
    assert shares.purity[0] == pytest.approx(counts.max() / counts.sum())
    assert shares.cropland[0] == pytest.approx((first == 40).mean())


def square(grid, left, top, right, bottom):
    """A box in pixels of the grid."""
    place = Affine(*grid.transform)
    (west, north), (east, south) = place @ (left, top), place @ (right, bottom)
    return shapely.box(west, south, east, north)


def parcels(grid, boxes, crops=None, path=None):
    frame = gpd.GeoDataFrame(
        {"crop": crops or ["Cropland"] * len(boxes)},
        geometry=[square(grid, *box) if isinstance(box, tuple) else box for box in boxes],
        crs=grid.crs,
    )
    return save(frame, path)


def test_boundaries_are_by_centre_touch_or_left_out(paths, grid, labelled, tmp_path):
    path = parcels(grid, [(10.4, 10.4, 20.6, 20.6), (30.2, 0, 30.4, 50)], path=tmp_path / "p.gpkg")
    centre = agricultural(build_land_cover(labelled(path), paths, TILE))
    assert centre.sum() == 11 * 11
    assert not centre[:, 30].any(), "a sliver that holds no centre leaves no trace"
    touched = agricultural(build_land_cover(labelled(path, boundary="touched"), paths, TILE))
    assert touched[10:21, 10:21].all()
    assert touched[:50, 30].all()
    assert touched.sum() >= 11 * 11 + 50
    ignored = build_land_cover(labelled(path, boundary="ignore"), paths, TILE)
    assert agricultural(ignored).sum() == 9 * 9
    assert (codes_of(ignored) == 0)[10:21, 10].all()
    assert (codes_of(ignored) == 0)[:50, 30].all()


def test_outside_is_other_or_nothing(paths, grid, labelled, tmp_path):
    path = parcels(grid, [(0, 0, 384, 100)], path=tmp_path / "p.gpkg")
    other = build_land_cover(labelled(path), paths, TILE)
    assert other.metadata["not_covered"] == 0
    assert other.metadata["agricultural_share"] == pytest.approx(100 / 384, abs=1e-4)
    assert other.tables["classes"].rows[-1]["class"] == "outside parcels"
    nothing = build_land_cover(labelled(path, outside="ignore"), paths, TILE)
    assert nothing.metadata["not_covered"] == 284 * 384
    assert nothing.metadata["agricultural_share"] == 1


def test_where_parcels_overlap_agricultural_wins_then_other_whatever_their_order(paths, grid, labelled, tmp_path):
    boxes = [(0, 0, 100, 100), (50, 0, 150, 100), (0, 50, 150, 150)]
    crops = ["Cropland", "Tree cover", "fallow"]
    found = []
    table = tmp_path / "m.csv"
    table.write_text("value,class\nCropland,agricultural\nTree cover,other\nfallow,ignore\n")
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        path = parcels(grid, [boxes[i] for i in order], [crops[i] for i in order], tmp_path / "p.gpkg")
        outcome = build_land_cover(labelled(path, mapping=str(table)), paths, TILE)
        found.append(codes_of(outcome))
        path.unlink()
    assert (found[0] == found[1]).all()
    assert (found[0] == found[2]).all()
    names = {row["class"]: row["code"] for row in outcome.tables["classes"].rows}
    assert (found[0][:100, :100] == names["Cropland"]).all()
    assert (found[0][:100, 100:150] == names["Tree cover"]).all()
    assert (found[0][100:150, :150] == 0).all(), "ignored ground is not outside"
    assert outcome.metadata["parcels_ignored"] == 1


def test_broken_geometries_are_repaired_or_dropped_and_counted(paths, grid, labelled, tmp_path):
    place = Affine(*grid.transform)
    bow = shapely.Polygon([place @ corner for corner in ((0, 0), (20, 20), (20, 0), (0, 20))])
    flat = shapely.Polygon([(*place @ corner, 12.5) for corner in ((50, 50), (90, 50), (90, 90), (50, 90))])
    line = shapely.LineString([place @ (100, 100), place @ (120, 120)])
    boxes = [bow, flat, line, shapely.Polygon(), None]
    path = parcels(grid, boxes, path=tmp_path / "p.parquet")
    outcome = build_land_cover(labelled(path), paths, TILE)
    assert outcome.metadata["parcels"] == 2
    assert outcome.metadata["parcels_repaired"] == 1
    assert outcome.metadata["parcels_dropped"] == 1, "the line; what has no geometry lies nowhere"
    crops = agricultural(outcome)
    assert crops[50:90, 50:90].all()
    assert crops[:20, :20].sum() == pytest.approx(200, abs=20)
    assert any("repaired" in warning for warning in outcome.warnings)


@pytest.mark.parametrize("suffix", ["shp", "gpkg", "parquet"])
def test_a_file_without_crs_is_refused(paths, grid, labelled, tmp_path, suffix):
    frame = gpd.GeoDataFrame({"crop": ["Cropland"]}, geometry=[square(grid, 0, 0, 9, 9)])
    path = tmp_path / f"p.{suffix}"
    with pytest.warns(UserWarning, match="crs") if suffix != "parquet" else _quiet():
        save(frame, path)
    with pytest.raises(LabelError, match=rf"p\.{suffix}: does not say its CRS"):
        build_land_cover(labelled(path), paths, TILE)


def _quiet():
    return contextlib.nullcontext()


def test_no_parcel_over_the_tile_is_refused(paths, grid, labelled, tmp_path):
    path = parcels(grid, [(-500, 0, -400, 50)], path=tmp_path / "p.gpkg")
    with pytest.raises(LabelError, match=f"tile {TILE}: no parcel of .*p.gpkg lies over it"):
        build_land_cover(labelled(path), paths, TILE)
    assert not paths.land_cover(TILE).exists()


def test_unmapped_values_are_refused_named_and_counted_or_let_pass(paths, grid, labelled, tmp_path):
    boxes = [(i * 10, 0, i * 10 + 10, 10) for i in range(9)]
    crops = ["Cropland", *"abcdefgh"]
    path = parcels(grid, boxes, crops, tmp_path / "p.gpkg")
    with pytest.raises(LabelError, match=r"does not map 8 values of crop .*'a', 'b', 'c', 'd', 'e', \.\.\."):
        build_land_cover(labelled(path), paths, TILE)
    ignored = build_land_cover(labelled(path, unmapped="ignore"), paths, TILE)
    assert ignored.metadata["not_covered"] == 800
    other = build_land_cover(labelled(path, unmapped="other"), paths, TILE)
    assert other.metadata["not_covered"] == 0
    assert {"a", "h"} <= {row["class"] for row in other.tables["classes"].rows}


def test_files_that_are_no_parcels_are_refused(paths, grid, labelled, tmp_path):
    path = parcels(grid, [(0, 0, 9, 9)], path=tmp_path / "p.gpkg")
    with pytest.raises(LabelError, match="no attribute 'kind'; it has crop"):
        build_land_cover(labelled(path, attribute="kind"), paths, TILE)
    with pytest.raises(LabelError, match="no layer roads; it has p"):
        build_land_cover(labelled(path, layer="roads"), paths, TILE)
    for name in ("n.gpkg", "n.parquet", "n.geojson", "n.shp"):
        with pytest.raises(LabelError, match=rf"{name}: no such file"):
            build_land_cover(labelled(tmp_path / name), paths, TILE)
        (tmp_path / name).write_bytes(b"no such thing")
        with pytest.raises(LabelError, match=rf"{name}: no parcels can be read"):
            build_land_cover(labelled(tmp_path / name), paths, TILE)
    pd.DataFrame({"crop": [1]}).to_parquet(tmp_path / "plain.parquet")
    with pytest.raises(LabelError, match="no GeoParquet metadata"):
        build_land_cover(labelled(tmp_path / "plain.parquet"), paths, TILE)


def test_all_parcels_are_agricultural_where_no_attribute_is_named(paths, grid, labelled, tmp_path):
    path = parcels(grid, [(0, 0, 50, 50)], path=tmp_path / "p.geojson")
    outcome = build_land_cover(labelled(path, attribute=None, mapping=None), paths, TILE)
    assert agricultural(outcome)[:50, :50].all()
    assert outcome.tables["classes"].rows[0]["class"] == "agricultural"


def test_numbers_are_mapped_as_they_are_written(paths, grid, labelled, tmp_path):
    frame = gpd.GeoDataFrame(
        {"crop": [311.0, 20.0, None]},
        geometry=[square(grid, i * 10, 0, i * 10 + 10, 10) for i in range(3)],
        crs=grid.crs,
    )
    table = tmp_path / "m.json"
    table.write_text(json.dumps({"311": "agricultural", "20": "other", "": "ignore"}))
    for suffix in FORMATS:
        outcome = build_land_cover(labelled(save(frame, tmp_path / f"p.{suffix}"), mapping=str(table)), paths, TILE)
        codes = codes_of(outcome)
        assert agricultural(outcome)[:10, :10].all()
        assert (codes[:10, 20:30] == 0).all()


def test_more_classes_than_codes_keep_their_sides(paths, grid, labelled, tmp_path):
    boxes = [(i % 20 * 10, i // 20 * 10, i % 20 * 10 + 10, i // 20 * 10 + 10) for i in range(300)]
    path = parcels(grid, boxes, [f"c{i}" for i in range(300)], tmp_path / "p.gpkg")
    table = tmp_path / "m.yaml"
    table.write_text("".join(f"c{i}: {'agricultural' if i % 2 else 'other'}\n" for i in range(300)))
    outcome = build_land_cover(labelled(path, mapping=str(table)), paths, TILE)
    assert [row["class"] for row in outcome.tables["classes"].rows] == ["other", "agricultural", "outside parcels"]
    assert agricultural(outcome).sum() == 150 * 100


def test_a_second_run_does_nothing_and_a_changed_mapping_does(paths, grid, labelled, mapping, tmp_path):
    path = parcels(grid, [(0, 0, 50, 50)], path=tmp_path / "p.shp")
    first = build_land_cover(labelled(path), paths, TILE)
    assert build_land_cover(labelled(path), paths, TILE).reused
    assert build_land_cover(labelled(path, positive=0.9), paths, TILE).reused, "thresholds are the cube's matter"
    mapping.write_text(mapping.read_text().replace("Cropland: agricultural", "Cropland: other"))
    again = build_land_cover(labelled(path), paths, TILE)
    assert not again.reused
    assert again.data_version != first.data_version
    assert again.metadata["agricultural_share"] == 0
    path.with_suffix(".dbf").touch()
    assert not build_land_cover(labelled(path), paths, TILE).reused


def test_only_what_overlaps_is_read(paths, grid, labelled, tmp_path, monkeypatch):
    boxes = [(x, 0, x + 5, 5) for x in range(0, 200_000, 100)]
    places = [square(grid, *box) for box in boxes]
    seen = []
    monkeypatch.setattr(
        parcels_module, "shapes_over", lambda raw, grid: seen.append(len(raw.values)) or shapes_over(raw, grid)
    )

    for name, options in (("p.gpkg", {}), ("p.parquet", {}), ("q.parquet", {"write_covering_bbox": True})):
        frame = gpd.GeoDataFrame({"crop": ["Cropland"] * len(boxes)}, geometry=places, crs=grid.crs)
        path = tmp_path / name
        frame.to_parquet(path, **options) if path.suffix == ".parquet" else frame.to_file(path)
        assert build_land_cover(labelled(path), paths, TILE).metadata["parcels"] == 4
    assert seen == [4, 4, 4]


def test_parcels_across_the_antimeridian(tmp_path):
    grid = TileGrid(crs="EPSG:32701", transform=(10, 0, 177000, 0, -10, 8120000), height=300, width=900)
    place = Affine(*grid.transform)
    west, east = place @ (0, 0), place @ (900, 300)
    whole = gpd.GeoSeries([shapely.box(west[0], east[1], east[0], west[1])], crs=grid.crs).to_crs("EPSG:4326")[0]
    turned = shapely.transform(whole, lambda p: np.column_stack([p[:, 0] % 360, p[:, 1]]))
    halves = [
        turned.intersection(shapely.box(179, -20, 180, 0)),
        shapely.transform(turned.intersection(shapely.box(180, -20, 181, 0)), lambda p: p - [360, 0]),
    ]
    both = shapely.MultiPolygon(halves)
    for number, geometry in enumerate(([both], halves)):
        for suffix, options in (("gpkg", {}), ("parquet", {}), ("parquet", {"write_covering_bbox": True})):
            path = tmp_path / f"p{number}{len(options)}.{suffix}"
            frame = gpd.GeoDataFrame({"crop": 1}, geometry=geometry, crs="EPSG:4326", index=range(len(geometry)))
            frame.to_parquet(path, **options) if suffix == "parquet" else frame.to_file(path)
            with ParcelSource(ParcelLabels(kind="parcels", path=path), "01KAB", grid).open() as cover:
                assert cover.metadata["parcels"] == len(geometry)
                for window in blocks(grid):
                    assert (cover.read(window)[2:-2, 2:-2] == 1).all()


def test_the_polygons_of_a_collection_count(paths, grid, labelled, tmp_path):
    point = shapely.Point(Affine(*grid.transform) @ (60, 60))
    inner = shapely.GeometryCollection([square(grid, 100, 0, 120, 20), point])
    mixed = shapely.GeometryCollection([square(grid, 0, 0, 20, 20), point, inner])
    for suffix in ("gpkg", "parquet", "geojson"):
        path = parcels(grid, [mixed, shapely.GeometryCollection([point])], path=tmp_path / f"p.{suffix}")
        outcome = build_land_cover(labelled(path), paths, TILE)
        crops = agricultural(outcome)
        assert crops.sum() == pytest.approx(800, abs=8)
        assert crops[1:19, 1:19].all()
        assert crops[1:19, 101:119].all()
        assert (outcome.metadata["parcels_repaired"], outcome.metadata["parcels_dropped"]) == (0, 1)


@pytest.mark.parametrize("suffix", [*FORMATS, "covered.parquet"])
def test_features_without_geometry_lie_over_no_tile_in_any_format(paths, grid, labelled, tmp_path, suffix):
    none = None if suffix == "shp" else shapely.Polygon()
    path = tmp_path / f"p.{suffix}"
    frame = gpd.GeoDataFrame(
        {"crop": ["Cropland"] * 4}, geometry=[square(grid, 0, 0, 9, 9), none, none, None], crs=grid.crs
    )
    frame.to_parquet(path, write_covering_bbox=True) if suffix == "covered.parquet" else save(frame, path)
    outcome = build_land_cover(labelled(path), paths, TILE)
    assert (outcome.metadata["parcels"], outcome.metadata["parcels_dropped"]) == (1, 0)
    assert not any("dropped" in warning for warning in outcome.warnings)


def test_geometries_that_cannot_be_read_are_counted(paths, grid, labelled, tmp_path):
    path = parcels(grid, [(0, 0, 9, 9), (20, 0, 29, 9)], path=tmp_path / "p.parquet")
    table = pyarrow.parquet.read_table(path)
    place = table.schema.get_field_index("geometry")
    broken = pa.array([table.column(place)[0].as_py(), b"no WKB"], pa.binary())
    pyarrow.parquet.write_table(table.set_column(place, table.schema.field(place), broken), path)
    outcome = build_land_cover(labelled(path), paths, TILE)
    assert (outcome.metadata["parcels"], outcome.metadata["parcels_dropped"]) == (1, 1)


@pytest.mark.parametrize("suffix", [*FORMATS, "covered.parquet"])
def test_whole_numbers_with_gaps_keep_their_digits(paths, grid, labelled, tmp_path, suffix):
    numbers = pd.array([9007199254740993, None, 311], dtype="Int64")
    boxes = [square(grid, i * 10, 0, i * 10 + 10, 10) for i in range(3)]
    frame = gpd.GeoDataFrame({"crop": numbers}, geometry=boxes, crs=grid.crs)
    path = tmp_path / f"p.{suffix}"
    frame.to_parquet(path, write_covering_bbox=True) if suffix == "covered.parquet" else save(frame, path)
    if path.suffix == ".parquet":
        # as others than pandas write it
        plain = pyarrow.parquet.read_table(path)
        geo = {b"geo": plain.schema.metadata[b"geo"]}
        pyarrow.parquet.write_table(plain.replace_schema_metadata(geo), path)
    table = tmp_path / "m.csv"
    table.write_text("value,class\n9007199254740993,agricultural\n311,agricultural\n,ignore\n")
    outcome = build_land_cover(labelled(path, mapping=str(table)), paths, TILE)
    assert {"9007199254740993", "311"} <= {row["class"] for row in outcome.tables["classes"].rows}
    assert (codes_of(outcome)[:10, 10:20] == 0).all()


def test_the_layer_that_was_taken_is_told(paths, grid, labelled, tmp_path):
    path = tmp_path / "p.gpkg"
    for layer, right in (("fields", 50), ("meadows", 20)):
        frame = gpd.GeoDataFrame({"crop": ["Cropland"]}, geometry=[square(grid, 0, 0, right, 10)], crs=grid.crs)
        frame.to_file(path, layer=layer)
    pyogrio.write_dataframe(pd.DataFrame({"crop": ["x"]}), path, layer="a_table", append=True)
    unsaid = build_land_cover(labelled(path), paths, TILE)
    assert agricultural(unsaid).sum() == 500
    assert "p.gpkg has the layers fields, meadows; fields was taken, say labels.layer for another" in unsaid.warnings
    named = build_land_cover(labelled(path, layer="meadows"), paths, TILE)
    assert agricultural(named).sum() == 200
    assert not any("layers" in warning for warning in named.warnings)


def test_a_folder_is_no_mapping(paths, grid, labelled, tmp_path):
    path = parcels(grid, [(0, 0, 9, 9)], path=tmp_path / "p.gpkg")
    with pytest.raises(LabelError, match=r"no such file; put the mapping there, or mend labels\.mapping"):
        build_land_cover(labelled(path, mapping=str(tmp_path)), paths, TILE)


def test_blanks_around_values_and_keys_do_not_count(paths, grid, labelled, tmp_path):
    path = parcels(grid, [(0, 0, 9, 9)], [" spring barley "], tmp_path / "p.gpkg")
    texts = {
        "m.yaml": '" spring barley": agricultural',
        "m.json": '{"spring barley ": " agricultural"}',
        "m.csv": 'value,class\n" spring barley ", agricultural',
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        outcome = build_land_cover(labelled(path, mapping=str(tmp_path / name)), paths, TILE)
        assert agricultural(outcome).sum() == 81
