"""The parts of the cube by themselves: shards, conversion, plans, graphs, pictures."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
import zarrs
from dask.delayed import delayed
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from agri_assets.cube import graph
from agri_assets.cube.commit import commit_root, find_root, write_coordinates
from agri_assets.cube.graph import run_graph
from agri_assets.cube.open import cube_info, open_reflectance, read_block, use_zarrs
from agri_assets.cube.pictures import LIMIT_BYTES, stretch, write_picture
from agri_assets.cube.plan import MAX_OVERHEAD, overhead
from agri_assets.cube.positions import ground
from agri_assets.cube.raster import to_reflectance
from agri_assets.cube.resample import Axis
from agri_assets.cube.schema import CubeInfo, Slot, shard_size
from agri_assets.cube.shards import ShardWriter, pixel_digest, shard_file
from agri_assets.cube.shares import count, share
from agri_assets.cube.zarr_metadata import root_document
from agri_assets.errors import CubeError, SceneError
from agri_assets.scenes.grid import TileGrid
from agri_assets.scenes.record import BandRecord

SLOT = Slot(slot=0, date="2023-08-10", scene_id="x", fingerprint="f", active=True, digest="d")
GRID = TileGrid(crs="EPSG:32633", transform=(10.0, 0.0, 499980.0, 0.0, -10.0, 5100000.0), height=1100, width=1050)
INFO = CubeInfo(
    tile="33TWL",
    bands=("B02", "B03"),
    units="reflectance",
    tile_size=64,
    shard_size=1024,
    height=1100,
    width=1050,
    grid=GRID,
    slots=(SLOT,),
)


@given(st.integers(32, 256))
def test_a_shard_is_a_whole_number_of_samples_near_1024(tile_size: int):
    edge = shard_size(tile_size)
    assert edge % tile_size == 0
    assert abs(edge - 1024) <= tile_size / 2


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(32, 256))
def test_shards_cover_every_pixel_once(height: int, width: int, tile_size: int):
    edge = shard_size(tile_size)
    info = INFO.model_copy(update={"height": height, "width": width, "tile_size": tile_size, "shard_size": edge})
    shapes = [info.shard_shape(y, x) for y, x in info.shards]
    assert sum(rows * cols for rows, cols in shapes) == height * width
    assert all(0 < rows <= edge and 0 < cols <= edge for rows, cols in shapes)


@given(arrays(np.uint16, (7, 5)), st.sampled_from([0, -1000]), st.sampled_from([0, 65535, 7]))
def test_a_valid_pixel_never_turns_into_nodata(numbers: np.ndarray, offset: int, nodata: int):
    pixels, clipped = to_reflectance(numbers.copy(), BandRecord(href="x", resolution=10, offset=offset, nodata=nodata))
    valid, shifted = numbers != nodata, numbers.astype(np.int64) + offset
    assert (pixels == np.where(valid, np.maximum(shifted, 1), 0)).all()
    assert clipped == (valid & (shifted < 1)).sum()
    assert pixels.dtype == np.uint16


def test_a_scale_that_is_not_the_cubes_is_refused():
    with pytest.raises(SceneError, match=r"scale 0\.001"):
        to_reflectance(np.ones((2, 2), np.uint16), BandRecord(href="x", resolution=10, scale=0.001))


@given(st.integers(1, 400), st.sampled_from([1, 2, 3, 6]), st.data())
def test_resampling_picks_the_pixel_underneath(coarse: int, factor: int, data: st.DataObject):
    fine = coarse * factor
    start = data.draw(st.integers(0, fine - 1))
    length = data.draw(st.integers(1, fine - start))
    axis = Axis.of(start, length, factor, coarse)
    assert (axis.nearest == np.arange(start, start + length) // factor).all()
    assert axis.run == slice(0, length)


def test_the_real_block_sizes_decide_what_is_decoded_whole():
    assert overhead(10980, 1024, 11, 1024) == 1
    assert overhead(10980, 512, 11, 1024) == 1
    assert overhead(5490, 640, 11, 512) > MAX_OVERHEAD
    assert overhead(1830, 192, 11, 1024 / 6) > MAX_OVERHEAD
    assert overhead(915, 512, 1, 1024) == 1
    assert overhead(1024, 512, 2, 1024, start=1024) == 1
    assert overhead(1024, 1024, 2, 1024, start=512) == 2
    assert overhead(2048, 512, 4, 512, halo=1) == 2.5


def writer(root: Path) -> ShardWriter:
    return ShardWriter.open(root, "reflectance", 0, INFO, root_document(INFO))


def written(root: Path, pixels: np.ndarray) -> Path:
    document = root_document(INFO)
    for y, x in INFO.shards:
        height, width = INFO.shard_shape(y, x)
        writer(root).write(y, x, pixels[:, y : y + height, x : x + width])
    write_coordinates(root, INFO, document)
    commit_root(find_root(root), document)
    return root


def test_shards_come_back_as_written_through_zarrs(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 5000, (2, 1100, 1050), dtype=np.uint16)
    cube = written(tmp_path / "x.zarr", pixels)
    array = open_reflectance(cube)
    assert isinstance(array.async_array.codec_pipeline, zarrs.ZarrsCodecPipeline)
    assert (read_block(array, 0, 0, 0, (1100, 1050)) == pixels).all()
    assert cube_info(cube) == INFO
    with pytest.raises(CubeError, match="opened for reading"):
        array[0:1, :, 0:1024, 0:1024] = pixels[None, :, :1024, :1024]


@pytest.mark.parametrize("place", [(0, 64, 1024, 1024), (64, 0, 1024, 1024), (0, 0, 512, 1024), (1024, 1024, 76, 25)])
def test_a_misaligned_write_is_refused(tmp_path, place):
    y, x, height, width = place
    with pytest.raises(CubeError, match="not one whole shard"):
        writer(tmp_path / "x.zarr").write(y, x, np.ones((2, height, width), np.uint16))
    assert not list(tmp_path.rglob("c"))


@pytest.mark.parametrize("seed", range(8))
def test_a_flipped_bit_raises_instead_of_giving_wrong_pixels(tmp_path, seed):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 5000, (2, 1100, 1050), dtype=np.uint16)
    cube = written(tmp_path / "x.zarr", pixels)
    file = shard_file(cube, INFO, "reflectance", 0, 0, 0)
    content = bytearray(file.read_bytes())
    content[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
    file.write_bytes(content)
    with pytest.raises(Exception, match=r"(?i)checksum"):
        read_block(open_reflectance(cube), 0, 0, 0, (1100, 1050))


def test_digests_tell_pixels_shape_and_type_apart():
    ones = np.ones((2, 4), np.uint16)
    others = [ones.reshape(4, 2), ones.astype(np.uint8), ones * 2]
    assert len({pixel_digest(array) for array in [ones, *others]}) == 4
    assert pixel_digest(ones) == pixel_digest(np.asfortranarray(ones)) == pixel_digest(ones.astype(">u2"))


def test_a_folder_that_is_no_cube_is_named(tmp_path):
    with pytest.raises(CubeError, match="no readable cube"):
        cube_info(tmp_path)
    (tmp_path / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group", "attributes": {}}')
    with pytest.raises(CubeError, match="not a cube of this project"):
        cube_info(tmp_path)


def test_zarrs_can_be_made_the_pipeline_of_everything():
    import zarr

    with zarr.config.set({"codec_pipeline.path": zarr.config.get("codec_pipeline.path")}):
        use_zarrs()
        use_zarrs()
        assert zarr.config.get("codec_pipeline.path") == "zarrs.ZarrsCodecPipeline"


def test_a_graph_of_absurd_size_is_refused(monkeypatch):
    monkeypatch.setattr(graph, "MAX_TASKS", 3)
    with pytest.raises(CubeError, match="4 tasks, more than 3"):
        run_graph([delayed(abs)(number) for number in range(4)], "x")
    assert run_graph([delayed(abs)(-number) for number in range(3)], "x") == (0, 1, 2)


def test_no_task_is_left_running_when_one_fails(monkeypatch):
    monkeypatch.setattr(graph, "worker_count", lambda: 2)
    begun, over = threading.Event(), threading.Event()

    def slow():
        begun.set()
        time.sleep(0.3)
        over.set()

    def fail():
        begun.wait(5)
        raise SceneError("broken")

    with pytest.raises(SceneError):
        run_graph([delayed(slow)(), delayed(fail)()], "x")
    assert over.is_set()


@given(st.integers(1, 200), st.integers(1, 200), st.integers(32, 64))
def test_counts_leave_out_partial_positions(height: int, width: int, tile_size: int):
    mask = np.ones((height, width), dtype=bool)
    assert count(mask, tile_size).sum() == (height // tile_size) * (width // tile_size) * tile_size**2
    assert (share(mask, tile_size) == 1).all()


def test_positions_know_their_ground():
    place = ground(GRID, 64, 6)
    rows, cols = GRID.positions(64)
    assert len(place.cell) == len(place.owner) == len(place.geometry) == rows * cols
    assert set(place.owner) == {"33TWL"}
    west, south, east, north = place.geometry[0].bounds
    assert 14.99 < west < east < 15.01
    assert 46.0 < south < north < 46.06
    east_edge = GRID.model_copy(update={"transform": (10.0, 0.0, 599970.0, 0.0, -10.0, 5100000.0)})
    assert set(ground(east_edge, 64, 6).owner) == {"33TWL", "33TXL"} - {"33TWL"}


def test_a_picture_is_small_whatever_is_in_it(tmp_path):
    noise = np.random.default_rng(0).integers(0, 9000, (3, 600, 900), dtype=np.uint16)
    path = write_picture(tmp_path / "x.png", stretch(noise))
    assert path.stat().st_size < LIMIT_BYTES
    assert not stretch(np.zeros((3, 5, 5), np.uint16)).any()
