import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from rasterio.windows import Window

from agri_assets.errors import LabelError
from agri_assets.labels.parcel_classes import read_mapping
from agri_assets.labels.parcel_outline import STEPS
from agri_assets.labels.parcel_raster import Drawing

EDGE = 48
steps = st.integers(-20 * STEPS, (EDGE + 20) * STEPS).map(lambda step: step / STEPS)
halves = st.integers(-40, 2 * EDGE + 40).map(lambda half: half / 2)
points = st.tuples(st.one_of(steps, halves), st.one_of(steps, halves))
rings = st.lists(points, min_size=3, max_size=8).map(shapely.Polygon)


@given(
    rings=st.lists(st.tuples(rings, st.integers(0, 4)), min_size=1, max_size=6),
    boundary=st.sampled_from(["centre", "touched", "ignore"]),
    cuts=st.tuples(st.integers(1, EDGE - 1), st.integers(1, EDGE - 1)),
)
def test_blocks_are_drawn_as_the_whole_would_be(rings, boundary, cuts):
    polygons = np.empty(len(rings), object)
    polygons[:] = [ring for ring, _ in rings]
    drawing = Drawing.of(polygons, np.array([code for _, code in rings], np.uint8), 9, boundary)
    whole = drawing.read(Window(0, 0, EDGE, EDGE))
    row, col = cuts
    for top, bottom in ((0, row), (row, EDGE)):
        for left, right in ((0, col), (col, EDGE)):
            part = drawing.read(Window(left, top, right - left, bottom - top))
            assert (part == whole[top:bottom, left:right]).all()


@given(st.lists(st.tuples(rings, st.integers(0, 4)), min_size=2, max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_parcels_does_not_matter(rings, random):
    def read(entries):
        polygons = np.empty(len(entries), object)
        polygons[:] = [ring for ring, _ in entries]
        codes = np.array([code for _, code in entries], np.uint8)
        return Drawing.of(polygons, codes, 9, "touched").read(Window(0, 0, EDGE, EDGE))

    shuffled = random.sample(rings, len(rings))
    assert (read(rings) == read(shuffled)).all()


@given(rings=st.lists(rings.filter(lambda ring: ring.is_valid), min_size=1, max_size=3))
def test_a_pixel_belongs_to_the_parcel_that_holds_its_centre(rings):
    polygons = np.array(rings, object)
    drawn = Drawing.of(polygons, np.ones(len(rings), np.uint8), 0, "centre").read(Window(0, 0, EDGE, EDGE))
    x, y = np.meshgrid(np.arange(EDGE) + 0.5, np.arange(EDGE) + 0.5)
    inside = np.any([shapely.contains_xy(ring, x, y) for ring in rings], axis=0)
    centres = shapely.points(x, y)
    on_edge = np.any([shapely.distance(ring.boundary, centres) < 1e-6 for ring in rings], axis=0)
    assert ((drawn == 1) == inside)[~on_edge].all()


@given(rings=st.lists(rings.filter(lambda ring: ring.is_valid), min_size=1, max_size=3))
def test_a_parcel_touches_the_pixels_that_it_shares_ground_with(rings):
    polygons = np.array(rings, object)
    drawn = Drawing.of(polygons, np.ones(len(rings), np.uint8), 0, "touched").read(Window(0, 0, EDGE, EDGE))
    corner_x, corner_y = np.meshgrid(np.arange(EDGE), np.arange(EDGE))
    pixels = shapely.box(corner_x, corner_y, corner_x + 1, corner_y + 1)
    shared = np.max([shapely.area(shapely.intersection(pixels, ring)) for ring in rings], axis=0)
    assert (drawn == 1)[shared > 1e-9].all()
    assert not (drawn == 1)[shared == 0].any()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m.yaml", "0311: agricultural\nNO: other\n'':  ignore\n"),
        ("m.json", '{"0311": "agricultural", "NO": "other", "": "ignore"}'),
        ("m.csv", "name,value,class\nwheat,0311,agricultural\nroad,NO, other\nnone,,ignore\n"),
    ],
)
def test_mappings_are_read_as_text(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert read_mapping(tmp_path / name) == {"0311": "agricultural", "NO": "other", "": "ignore"}


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("m.yaml", "a: crops", "'a' is mapped to 'crops'; expected one of agricultural, other, ignore"),
        ("m.yaml", "a: other\na: other", "maps 'a' twice"),
        ("m.json", '{"a": "other", "a": "ignore"}', "maps 'a' twice"),
        ("m.csv", "value,class\na,other\na,other", "maps 'a' twice"),
        ("m.csv", "a,other", "the columns `value` and `class`"),
        ("m.yaml", "- a", "no mapping"),
        ("m.json", "[1]", "no mapping"),
        ("m.json", "3", "no mapping"),
        ("m.json", "{", "no mapping"),
        ("m.yaml", "{", "no mapping"),
        ("m.yaml", "", "no mapping"),
        ("m.json", "{}", "maps nothing"),
        ("m.txt", "a other", "unknown kind"),
        ("m.yaml", "a: [other]", "in line 1 a value is mapped to no text"),
        ("m.yaml", "a: other\nb: {c: other}", "in line 2 a value is mapped to no text"),
        ("m.yaml", "[a]: other", "in line 1 a value is mapped to no text"),
        ("m.json", '{"a": {"b": "other"}}', "'a' is mapped to no text"),
        ("m.json", '{"a": null}', "'a' is mapped to no text"),
        ("m.json", '[["a", "other"]]', "expected an object"),
    ],
)
def test_what_is_no_mapping_is_refused(tmp_path, name, text, match):
    (tmp_path / name).write_text(text)
    with pytest.raises(LabelError, match=match) as caught:
        read_mapping(tmp_path / name)
    assert "\n" not in str(caught.value)
