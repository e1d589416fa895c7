"""Windows are cut from the right pixels of the right date, and are usable as the tile index would count them."""

import numpy as np
import pandas as pd
import pytest

from agri_assets.cube.commit import commit_root, find_root, write_coordinates
from agri_assets.cube.schema import BANDS_ARRAY, CLASSES_ARRAY, CubeInfo, Slot
from agri_assets.cube.shards import ShardWriter
from agri_assets.cube.zarr_metadata import root_document
from agri_assets.errors import CubeError
from agri_assets.evaluation.predictions import BATCH
from agri_assets.maps.positions import NONE, Chosen, choose_positions
from agri_assets.maps.reading import Rules, WindowReader
from agri_assets.maps.settings import MapSettings
from agri_assets.maps.windows import WindowGrid
from agri_assets.scenes.clouds import clear_mask
from agri_assets.scenes.grid import TileGrid
from agri_assets.scenes.settings import CloudSettings

SIZE, SHARD, PIXELS = 32, 128, 340
DATES = ("2023-06-01", "2023-08-15", "2023-09-20")
CLOUDS = CloudSettings(dilate_m=30)


def cube_of(path, pixels, classes):
    """A cube of (dates, bands, height, width) and its classes (dates, height, width)."""
    slots = tuple(
        Slot(slot=number, date=date, scene_id=date, fingerprint="", active=number != 2, digest="")
        for number, date in enumerate(DATES)
    )
    height, width = classes.shape[1:]
    grid = TileGrid(crs="EPSG:32631", transform=(10, 0, 300_000, 0, -10, 4_900_020), height=height, width=width)
    sizes = {"tile_size": SIZE, "shard_size": SHARD, "height": height, "width": width}
    info = CubeInfo(tile="31TCJ", bands=("B04", "B08"), units="reflectance", grid=grid, slots=slots, **sizes)
    document = root_document(info)
    for name, values in ((BANDS_ARRAY, pixels), (CLASSES_ARRAY, classes)):
        for slot in range(len(slots)):
            writer = ShardWriter.open(path, name, slot, info, document)
            for y, x in info.shards:
                height, width = info.shard_shape(y, x)
                writer.write(y, x, np.ascontiguousarray(values[slot, ..., y : y + height, x : x + width]))
    write_coordinates(path, info, document)
    commit_root(find_root(path), document)
    return path, info


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    random = np.random.default_rng(0)
    pixels = random.integers(1, 5_000, (3, 2, PIXELS, PIXELS), dtype=np.uint16)
    pixels[0, :, 100:150, 40:260] = 0
    pixels[1, 1, 20:60, 300:] = 0
    classes = np.full((3, PIXELS, PIXELS), 4, dtype=np.uint8)
    classes[0, 200:300, 100:180] = 9
    classes[1, :130, :90] = 3
    classes[1, 250, 250] = 12
    path, info = cube_of(tmp_path_factory.mktemp("cubes") / "cube.zarr", pixels, classes)
    return path, info, pixels, classes


def chosen_at_random(grid, seed):
    random = np.random.default_rng(seed)
    slot = random.choice(np.array([NONE, 0, 1], dtype=np.int32), grid.positions, p=[0.1, 0.45, 0.45])
    return Chosen(pd.DataFrame(), slot, (slot != NONE) & (random.random(grid.positions) < 0.8))


@pytest.mark.parametrize("stride", [8, 16, 32])
def test_windows_are_those_that_a_plain_loop_finds(made, stride):
    path, info, pixels, classes = made
    grid = WindowGrid((10, 10), SIZE, stride, SHARD // SIZE)
    chosen, rules = chosen_at_random(grid, stride), Rules(0.9, 0.6, CLOUDS)
    valid = (pixels > 0).all(axis=1) & (classes <= 11)
    clear = np.stack([clear_mask(one, CLOUDS, 10.0) for one in classes]) & valid
    wanted = {}
    for row, col in np.ndindex(*grid.shape):
        home = (row * stride + SIZE // 2) // SIZE, (col * stride + SIZE // 2) // SIZE
        slot, y, x = chosen.slot[home], row * stride, col * stride
        inside = (slot, slice(y, y + SIZE), slice(x, x + SIZE))
        if y % SIZE == 0 and x % SIZE == 0:
            usable = chosen.usable[home]
        else:
            usable = slot != NONE and valid[inside].mean() >= 0.9 and clear[inside].mean() >= 0.6
        if usable:
            wanted[row, col] = pixels[slot, :, y : y + SIZE, x : x + SIZE]
    assert 0 < len(wanted) < (chosen.slot != NONE).sum() * (SIZE // stride) ** 2
    found, views = {}, 0
    for piece in WindowReader(path, info, grid, chosen, rules, 2).pieces(grid.units):
        assert len(piece.pixels) <= BATCH
        views += piece.view is not None
        for place, window in zip(zip(piece.row.tolist(), piece.col.tolist(), strict=True), piece.pixels, strict=True):
            assert place not in found
            found[place] = window
    assert views == 9
    assert found.keys() == wanted.keys()
    assert all(np.array_equal(found[place], wanted[place]) for place in wanted)


def test_the_view_shows_each_position_at_its_date(made):
    path, info, pixels, _ = made
    grid = WindowGrid((10, 10), SIZE, 16, SHARD // SIZE)
    chosen = chosen_at_random(grid, 1)
    view = np.full((10, 10, 1, 1, 3), 77, dtype=np.uint8)
    for piece in WindowReader(path, info, grid, chosen, Rules(0.9, 0.6, CLOUDS), 1).pieces(grid.units):
        if piece.view is not None:
            view[grid.part_positions(piece.unit)] = piece.view
    for row, col in np.ndindex(10, 10):
        slot, (y, x) = chosen.slot[row, col], (row * SIZE, col * SIZE)
        mean = 0 if slot == NONE else pixels[slot, 0, y : y + SIZE, x : x + SIZE].mean()
        assert view[row, col, 0, 0, 0] == pytest.approx(min(1, mean / 3000) ** (1 / 1.4) * 255, abs=0.6)


def index_rows(rows):
    names = ("row", "col", "slot", "date", "clear_fraction", "valid_fraction")
    table = pd.DataFrame([dict(zip(names, row, strict=True)) for row in rows])
    return table.assign(tile_id="t", geometry=None).astype({"clear_fraction": "float32", "valid_fraction": "float32"})


def test_the_clearest_usable_date_is_chosen_else_the_clearest_else_none(made, tmp_path, monkeypatch):
    _, info, *_ = made
    path = tmp_path / "index.parquet"
    index_rows(
        [
            (0, 0, 0, DATES[0], 0.9, 1.0),
            (0, 0, 1, DATES[1], 0.9, 1.0),
            (0, 0, 2, DATES[2], 1.0, 1.0),
            (0, 1, 0, DATES[0], 0.7, 1.0),
            (0, 1, 1, DATES[1], 0.8, 0.8),
            (0, 2, 0, DATES[0], 0.2, 1.0),
            (0, 2, 1, DATES[1], 0.1, 1.0),
            (0, 3, 0, DATES[0], 0.0, 0.0),
        ]
    ).to_parquet(path)
    answers = []
    for rows in (65_536, 1):
        monkeypatch.setattr("agri_assets.maps.positions.ROWS", rows)
        chosen = choose_positions(path, info, (1, 5), MapSettings(), 0.95)
        answers.append((chosen.slot[0].tolist(), chosen.usable[0].tolist(), chosen.rows["col"].tolist()))
    # the latest of equally clear ones; an inactive slot counts for nothing
    assert answers == [([1, 0, 0, NONE, NONE], [True, True, False, False, False], [0, 1, 2])] * 2
    assert chosen.dates == DATES[:2]
    mapped = chosen.where(np.array([[False, True, True, True, True]]))
    assert mapped.dates == DATES[:1]
    assert mapped.slot[0].tolist() == [NONE, 0, 0, NONE, NONE]
    first = choose_positions(path, info, (1, 5), MapSettings(date=DATES[0]), 0.95)
    assert first.slot[0].tolist() == [0, 0, 0, NONE, NONE]
    with pytest.raises(CubeError, match=r"tile 31TCJ has no date 2023-09-20 to map; it has 2023-06-01, 2023-08-15"):
        choose_positions(path, info, (1, 5), MapSettings(date=DATES[2]), 0.95)
    with pytest.raises(CubeError, match="no tile index; materialise tile_cube first"):
        choose_positions(tmp_path / "none.parquet", info, (1, 5), MapSettings(), 0.95)
