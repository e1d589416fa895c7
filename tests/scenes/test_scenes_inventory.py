import shutil
from pathlib import Path

import pytest

from agri_assets.errors import IdentityError, SceneError, StoreError
from agri_assets.scenes import inventory as module
from agri_assets.scenes.catalog import build_catalog, catalog_tile, read_catalog
from agri_assets.scenes.inventory import read_inventory, take_inventory
from agri_assets.scenes.record import SceneState

TILE = "31TCJ"


def _band(product: Path, name: str) -> Path:
    return next(product.rglob(f"*_{name}_*m.jp2"))


def _reprocess(product: Path, baseline: str) -> Path:
    """The same acquisition by another processing baseline."""
    name = product.name.replace("N0509", f"N{baseline.replace('.', '')}").replace("T145400", "T200000")
    copy = Path(shutil.copytree(product, product.with_name(name)))
    for path in ("MTD_MSIL2A.xml",):
        metadata = copy / path
        metadata.write_text(metadata.read_text().replace("BASELINE>05.09", f"BASELINE>{baseline}"))
    return copy


def _states(paths) -> dict[str, SceneState]:
    return {entry.name: entry.state for entry in read_inventory(paths, TILE).entries}


def test_scenes_from_source_to_inventory(collection, paths, products):
    catalogued = build_catalog(collection, paths)
    assert [tile.tile for tile in read_catalog(paths)] == [TILE]
    assert catalog_tile(paths, TILE).grid.resolution == 10
    outcome = take_inventory(collection, paths, TILE)
    found = read_inventory(paths, TILE)
    assert outcome.metadata == {"expected": 2, "present": 2, "superseded": 0, "refused": 0}
    assert [record.acquired for record in found.present] == sorted(record.acquired for record in found.present)
    assert [tuple(record.bands) for record in found.present] == [("B02", "B05")] * 2
    assert outcome.path == paths.inventory(TILE)
    assert not catalogued.reused


def test_a_second_run_with_nothing_new_does_nothing(collection, paths, monkeypatch):
    first = build_catalog(collection, paths), take_inventory(collection, paths, TILE)
    monkeypatch.setattr(module, "verify_scene", lambda *_: pytest.fail("verified again"))
    second = build_catalog(collection, paths), take_inventory(collection, paths, TILE)
    assert all(outcome.reused for outcome in second)
    assert [one.data_version for one in second] == [one.data_version for one in first]


def test_only_a_new_scene_is_verified(collection, paths, products, monkeypatch, tmp_path):
    late = shutil.move(products[1], tmp_path / products[1].name)
    build_catalog(collection, paths)
    before = take_inventory(collection, paths, TILE)
    shutil.move(late, products[1])
    seen = []
    monkeypatch.setattr(module, "verify_scene", lambda record, grid: seen.append(Path(record.location).name))
    after = take_inventory(collection, paths, TILE)
    assert seen == [products[1].name]
    assert after.data_version != before.data_version


def test_a_damaged_band_is_refused_and_stops_nothing_else(collection, paths, products):
    build_catalog(collection, paths)
    band = _band(products[0], "B02")
    content = bytearray(band.read_bytes())
    content[len(content) // 2] ^= 0xFF
    band.write_bytes(content)
    outcome = take_inventory(collection, paths, TILE)
    assert _states(paths) == {products[0].name: SceneState.REFUSED, products[1].name: SceneState.PRESENT}
    assert band.name in outcome.warnings[0]
    assert "checksum differs" in outcome.warnings[0]
    assert outcome.tables["scenes"].rows[0]["state"] == "refused"


def test_a_refused_scene_is_tried_again_once_it_changes(collection, paths, products):
    build_catalog(collection, paths)
    band = _band(products[0], "B02")
    whole = band.read_bytes()
    band.write_bytes(whole[:-100])
    assert take_inventory(collection, paths, TILE).metadata["refused"] == 1
    band.write_bytes(whole)
    assert take_inventory(collection, paths, TILE).metadata["refused"] == 0


def test_damage_to_a_band_nobody_reads_is_no_reason(collection, paths, products):
    build_catalog(collection, paths)
    _band(products[0], "B12").write_bytes(b"")
    assert take_inventory(collection, paths, TILE).metadata["present"] == 2


def test_a_missing_band_is_named_with_where_it_was_looked_for(collection, paths, products):
    build_catalog(collection, paths)
    band = _band(products[0], "B05")
    band.unlink()
    warning = take_inventory(collection, paths, TILE).warnings[0]
    assert "band B05" in warning
    assert band.name in warning


def test_a_band_the_product_does_not_list_is_named(inbox, paths, make_collection, products):
    collection = make_collection({"kind": "safe", "path": str(inbox)}, bands=("B02", "B10"))
    with pytest.raises(SceneError, match="no band B10"):
        build_catalog(collection, paths)


def test_without_a_manifest_a_truncated_raster_is_still_found(collection, paths, products):
    build_catalog(collection, paths)
    (products[0] / "manifest.safe").unlink()
    band = _band(products[0], "B05")
    band.write_bytes(band.read_bytes()[:-2])
    assert "truncated" in take_inventory(collection, paths, TILE).warnings[0]


def test_all_refused_is_an_error_with_the_first_reason(collection, paths, products):
    build_catalog(collection, paths)
    for product in products:
        _band(product, "B02").write_bytes(b"")
    with pytest.raises(SceneError, match=r"all 2 scenes were refused.*0 bytes") as caught:
        take_inventory(collection, paths, TILE)
    assert "\n" not in str(caught.value)
    assert set(_states(paths).values()) == {SceneState.REFUSED}


def test_the_newest_baseline_wins_and_the_older_is_superseded(collection, paths, products):
    newer = _reprocess(products[0], "05.11")
    build_catalog(collection, paths)
    (newer / "manifest.safe").unlink()
    take_inventory(collection, paths, TILE)
    states = _states(paths)
    assert states[newer.name] is SceneState.PRESENT
    assert states[products[0].name] is SceneState.SUPERSEDED
    assert len(read_inventory(paths, TILE).present) == 2


def test_a_damaged_newer_processing_leaves_the_older_one_in_place(collection, paths, products):
    newer = _reprocess(products[0], "05.11")
    _band(newer, "B02").write_bytes(b"")
    build_catalog(collection, paths)
    take_inventory(collection, paths, TILE)
    states = _states(paths)
    assert states[newer.name] is SceneState.REFUSED
    assert states[products[0].name] is SceneState.PRESENT


def test_two_acquisitions_of_one_day_get_their_own_names(collection, paths, products):
    second = Path(shutil.copytree(products[0], products[0].with_name(products[0].name.replace("T104540", "T105000"))))
    metadata = second / "MTD_MSIL2A.xml"
    metadata.write_text(
        metadata.read_text().replace('datatakeIdentifier="GS2A_20230611T10', 'datatakeIdentifier="GS2A_20230611T11')
    )
    build_catalog(collection, paths)
    take_inventory(collection, paths, TILE)
    names = [record.scene_id for record in read_inventory(paths, TILE).present]
    assert names[:2] == ["S2A_31TCJ_20230611_0_L2A", "S2A_31TCJ_20230611_1_L2A"]


def test_a_scene_on_another_grid_is_refused(collection, paths, products):
    build_catalog(collection, paths)
    metadata = next(products[1].rglob("MTD_TL.xml"))
    old = f"<ULX>{catalog_tile(paths, TILE).grid.transform[2]:.0f}</ULX>"
    assert old in metadata.read_text()
    metadata.write_text(metadata.read_text().replace(old, "<ULX>400000</ULX>"))
    warning = take_inventory(collection, paths, TILE).warnings[0]
    assert "must be on one grid" in warning


def test_a_tile_that_left_the_source_is_retired(collection, paths, products, shared_data):
    build_catalog(collection, paths)
    grid = catalog_tile(paths, TILE).grid
    six = collection.model_copy(update={"source": _stac(shared_data)})
    with pytest.raises(SceneError, match="no usable scene"):
        build_catalog(six, paths)
    assert catalog_tile(paths, TILE).grid == grid


def test_retired_tiles_stay_in_the_catalogue(paths, make_collection, shared_data):
    source = {"kind": "stac_catalog", "path": str(shared_data / "sentinel2_stac")}
    build_catalog(make_collection(source, bands=("B02",)), paths)
    build_catalog(make_collection({**source, "tiles": ["33TWM"]}, bands=("B02",)), paths)
    assert {tile.tile: tile.active for tile in read_catalog(paths)} == {"33TWL": False, "33TWM": True}
    with pytest.raises(StoreError, match="retired"):
        catalog_tile(paths, "33TWL")


def test_changed_bands_over_existing_data_are_refused(collection, paths, make_collection, inbox):
    build_catalog(collection, paths)
    other = make_collection({"kind": "safe", "path": str(inbox)}, bands=("B02",))
    build_catalog(other, paths)
    (paths.cube(TILE)).mkdir(parents=True)
    with pytest.raises(IdentityError, match=r"bands \['B02'\].*bands \['B02', 'B05'\]"):
        build_catalog(collection, paths)


def test_missing_sources_and_catalogues_are_told(paths, make_collection, tmp_path):
    with pytest.raises(SceneError, match="no such file or folder"):
        build_catalog(make_collection({"kind": "safe", "path": str(tmp_path / "absent")}), paths)
    with pytest.raises(StoreError, match="dagster asset materialize"):
        read_catalog(paths)
    with pytest.raises(StoreError, match=f"--partition {TILE}"):
        read_inventory(paths, TILE)


def test_the_six_real_products(paths, make_collection, shared_data):
    source = {"kind": "stac_catalog", "path": str(shared_data / "sentinel2_stac")}
    collection = make_collection(source, bands=("B02", "B03", "B04", "B08"))
    build_catalog(collection, paths)
    for tile in ("33TWL", "33TWM"):
        outcome = take_inventory(collection, paths, tile)
        assert outcome.metadata == {"expected": 3, "present": 3, "superseded": 0, "refused": 0}
    assert {tile.grid.height for tile in read_catalog(paths)} == {915}


def _stac(shared_data):
    from agri_assets.scenes.settings import StacCatalogSource

    return StacCatalogSource(kind="stac_catalog", path=shared_data / "worldcover")
