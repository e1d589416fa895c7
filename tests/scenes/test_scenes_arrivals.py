"""What is new in a source is told by listing alone, tile by tile, and agrees with what an inventory would find."""

import shutil

import pytest

from agri_assets.errors import SceneError
from agri_assets.scenes import arrivals
from agri_assets.scenes.arrivals import look_for_arrivals
from agri_assets.scenes.catalog import CatalogTile, build_catalog, write_catalog
from agri_assets.scenes.inventory import take_inventory
from agri_assets.scenes.listing import Listing, SceneRef
from agri_assets.scenes.source_files import SafeFolder
from agri_assets.scenes.tile_grid import nominal_grid

TILE = "31TCJ"


@pytest.fixture
def three_tiles(inbox):
    """The products of one tile, and a copy of the first under the names of two more."""
    first = min(inbox.glob("*.SAFE"))
    for tile in ("31TDJ", "31TEJ"):
        shutil.copytree(first, inbox / first.name.replace(TILE, tile))
    return inbox


def test_a_tile_is_unknown_then_changed_then_done(collection, paths):
    assert look_for_arrivals(collection, paths).unknown == (TILE,)
    build_catalog(collection, paths)
    found = look_for_arrivals(collection, paths)
    assert (found.unknown, set(found.changed)) == ((), {TILE})
    take_inventory(collection, paths, TILE)
    assert look_for_arrivals(collection, paths).changed == {}


def test_a_scene_that_comes_changes_or_goes_is_seen_and_none_is_opened(collection, paths, products, monkeypatch):
    away = shutil.move(products[1], paths.root.parent / products[1].name)
    build_catalog(collection, paths)
    take_inventory(collection, paths, TILE)
    monkeypatch.setattr("agri_assets.scenes.source_files.read_safe", lambda path: pytest.fail(f"{path} was opened"))
    assert look_for_arrivals(collection, paths).changed == {}
    shutil.move(away, products[1])
    came = look_for_arrivals(collection, paths).changed
    assert set(came) == {TILE}
    band = next(products[1].rglob("*_B02_10m.jp2"))
    band.write_bytes(band.read_bytes() + b"more")
    assert look_for_arrivals(collection, paths).changed[TILE] != came[TILE]


def test_looks_take_turns_and_look_again_where_asked(collection, paths, three_tiles, monkeypatch):
    build_catalog(collection, paths)
    # the copies' metadata name another tile, so that their inventories are never made
    known = {tile.tile: tile for tile in arrivals.read_catalog(paths)}
    grid = known[TILE]
    monkeypatch.setattr(
        arrivals, "read_catalog", lambda _: [grid, *(_renamed(grid, tile) for tile in ("31TDJ", "31TEJ"))]
    )
    monkeypatch.setattr(arrivals, "MOST_TILES", 1)
    seen, after = [], ""
    for _ in range(4):
        found = look_for_arrivals(collection, paths, after)
        seen.append(list(found.changed))
        after = found.last
    assert seen == [["31TCJ"], ["31TDJ"], ["31TEJ"], ["31TCJ"]]
    both = look_for_arrivals(collection, paths, "31TCJ", again=["31TEJ", "33XXX"])
    assert (list(both.changed), both.last, both.looked) == (["31TDJ", "31TEJ"], "31TDJ", 2)


def _renamed(tile, name):
    return arrivals.CatalogTile(name, True, tile.grid)


class Counted(tuple):
    """A tuple that counts how often it was gone through."""

    times = 0

    def __iter__(self):
        self.times += 1
        return super().__iter__()


def test_ten_thousand_tiles_are_listed_once_and_some_of_them_looked_at(collection, paths, monkeypatch):
    tiles = [
        f"{zone:02d}T{column}{row}" for zone in range(1, 61) for column in "CDEFGHJKLM" for row in "ABCDEFGHJKLMNPQRS"
    ]
    tiles = tiles[:10_000]
    refs = Counted(SceneRef(f"S2A_T{tile}.SAFE", f"/nowhere/S2A_T{tile}.SAFE", tile) for tile in tiles)
    stamped = []
    monkeypatch.setattr(SafeFolder, "_find", lambda self: Listing(refs, ()))
    monkeypatch.setattr(SafeFolder, "stamp", lambda self, ref: stamped.append(ref.tile) or "as it was")
    write_catalog(paths.catalog, [CatalogTile(tile, True, nominal_grid("31TCJ", 10.0)) for tile in tiles])
    looked, after = set(), ""
    for _ in range(20):
        found = look_for_arrivals(collection, paths, after)
        after = found.last
        assert found.looked == len(stamped) == arrivals.MOST_TILES
        looked |= set(stamped)
        stamped.clear()
    assert looked == set(tiles)
    # once for each look's own source, whatever the number of tiles
    assert refs.times == 20


def test_a_source_that_is_gone_is_an_error_of_one_line(make_collection, paths, tmp_path):
    with pytest.raises(SceneError, match="nowhere"):
        look_for_arrivals(make_collection({"kind": "safe", "path": str(tmp_path / "nowhere")}), paths)
