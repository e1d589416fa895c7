import shutil
from pathlib import Path

import pytest

from agri_assets.errors import IdentityError, RemoteError, SceneError, StoreError
from agri_assets.scenes import examine as module
from agri_assets.scenes import inventory
from agri_assets.scenes.catalog import build_catalog, catalog_tile, read_catalog
from agri_assets.scenes.inventory import read_inventory, refused_path, take_inventory
from agri_assets.scenes.record import Inventory, InventoryEntry, SceneState
from agri_assets.scenes.verify import verify_scene

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


def _flip(band: Path) -> None:
    content = bytearray(band.read_bytes())
    content[len(content) // 2] ^= 0xFF
    band.write_bytes(content)


def _watch(monkeypatch) -> list[str]:
    """Names of the products that are verified from here on."""
    seen: list[str] = []

    def verify(record, grid):
        seen.append(Path(record.location).name)
        return verify_scene(record, grid)

    monkeypatch.setattr(module, "verify_scene", verify)
    return seen


def _failing(product: Path, error: SceneError):
    """Verification that fails for one product."""

    def verify(record, grid):
        if record.location == str(product):
            raise error
        return verify_scene(record, grid)

    return verify


def _rows(outcome):
    return outcome.tables["scenes"].rows


def _present(collection, paths):
    take_inventory(collection, paths, TILE)
    return read_inventory(paths, TILE).present


def _states(paths) -> dict[str, SceneState]:
    return {entry.name: entry.state for entry in read_inventory(paths, TILE).entries}


def test_scenes_from_source_to_inventory(collection, paths, products):
    catalogued = build_catalog(collection, paths)
    assert [tile.tile for tile in read_catalog(paths)] == [TILE]
    assert catalog_tile(paths, TILE).grid.resolution == 10
    outcome = take_inventory(collection, paths, TILE)
    found = read_inventory(paths, TILE)
    assert outcome.metadata == {"expected": 2, "present": 2, "superseded": 0, "refused": 0, "left_out": 0}
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
    seen = _watch(monkeypatch)
    after = take_inventory(collection, paths, TILE)
    assert seen == [products[1].name]
    assert after.data_version != before.data_version


def test_a_damaged_band_is_refused_and_stops_nothing_else(collection, paths, products):
    build_catalog(collection, paths)
    band = _band(products[0], "B02")
    _flip(band)
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


def test_all_refused_is_an_error_with_every_kind_of_reason(collection, paths, products):
    build_catalog(collection, paths)
    _band(products[0], "B02").write_bytes(b"")
    _flip(_band(products[1], "B05"))
    with pytest.raises(
        SceneError, match=r"all 2 scenes were refused: 1 x .*; 1 x .*; each one's reason is in"
    ) as caught:
        take_inventory(collection, paths, TILE)
    assert "0 bytes" in str(caught.value)
    assert "checksum differs" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not paths.inventory(TILE).exists()
    listed = Inventory.model_validate_json(refused_path(paths, TILE).read_text())
    assert {entry.state for entry in listed.entries} == {SceneState.REFUSED}


def test_too_large_a_share_of_refusals_fails_and_leaves_what_was_there(inbox, paths, make_collection, products):
    collection = make_collection({"kind": "safe", "path": str(inbox), "max_refused": 0.4})
    build_catalog(collection, paths)
    take_inventory(collection, paths, TILE)
    kept = paths.inventory(TILE).read_bytes(), paths.receipt("raw_scenes", TILE).read_bytes()
    whole = _band(products[0], "B02").read_bytes()
    _flip(_band(products[0], "B02"))
    with pytest.raises(SceneError, match=r"1 of 2 scenes .*share of 0\.50, max_refused is 0\.4\): 1 x .*checksum"):
        take_inventory(collection, paths, TILE)
    assert (paths.inventory(TILE).read_bytes(), paths.receipt("raw_scenes", TILE).read_bytes()) == kept
    _band(products[0], "B02").write_bytes(whole)
    assert take_inventory(collection, paths, TILE).metadata["refused"] == 0
    assert not refused_path(paths, TILE).exists()


def test_what_a_failed_inventory_verified_is_not_verified_again(inbox, paths, make_collection, products, monkeypatch):
    collection = make_collection({"kind": "safe", "path": str(inbox), "max_refused": 0})
    build_catalog(collection, paths)
    _flip(_band(products[0], "B02"))
    with pytest.raises(SceneError, match="max_refused is 0"):
        take_inventory(collection, paths, TILE)
    seen = _watch(monkeypatch)
    lenient = make_collection({"kind": "safe", "path": str(inbox), "max_refused": 0.5})
    assert take_inventory(lenient, paths, TILE).metadata["refused"] == 1
    assert seen == []


def test_refusals_of_one_kind_are_counted_together():
    reasons = ["A/x_B02.jp2: 17 bytes, manifest.safe says 20", "B/y_B05.jp2: 3 bytes, manifest.safe says 21", "other"]
    entries = [InventoryEntry(name="n", state=SceneState.REFUSED, reason=reason) for reason in reasons]
    assert inventory._grouped(entries) == f"2 x {reasons[0]}; 1 x other"


def test_refused_scenes_are_tried_again_when_asked(collection, paths, products, monkeypatch):
    build_catalog(collection, paths)
    monkeypatch.setattr(module, "verify_scene", _failing(products[0], SceneError("the reader was broken")))
    assert take_inventory(collection, paths, TILE).metadata["refused"] == 1
    monkeypatch.undo()
    assert take_inventory(collection, paths, TILE).reused
    seen = _watch(monkeypatch)
    again = take_inventory(collection, paths, TILE, retry_refused=True)
    assert (again.metadata["refused"], again.reused) == (0, False)
    assert seen == [products[0].name]


@pytest.mark.parametrize(("transient", "tried"), [(True, 1), (False, 0)])
def test_only_refusals_that_may_pass_are_tried_again_by_themselves(
    collection, paths, products, monkeypatch, transient, tried
):
    build_catalog(collection, paths)
    monkeypatch.setattr(module, "verify_scene", _failing(products[0], RemoteError("no answer", transient=transient)))
    first = take_inventory(collection, paths, TILE)
    assert first.metadata["refused"] == 1
    monkeypatch.undo()
    seen = _watch(monkeypatch)
    again = take_inventory(collection, paths, TILE)
    assert again.metadata["refused"] == 1 - tried
    assert seen == [products[0].name] * tried
    assert again.reused is (tried == 0)
    assert take_inventory(collection, paths, TILE).reused


def test_scenes_beyond_the_dates_or_the_cloud_limit_are_left_out_and_counted(inbox, paths, make_collection, products):
    source = {"kind": "safe", "path": str(inbox)}
    everything = make_collection(source)
    build_catalog(everything, paths)
    clouds = {record.cloud_cover for record in _present(everything, paths)}
    assert len(clouds) == 2
    early = make_collection({**source, "dates": "2023-06-01/2023-06-11"})
    assert [f"{record.acquired:%m-%d}" for record in _present(early, paths)] == ["06-11"]
    clear = make_collection({**source, "max_cloud": min(clouds)})
    outcome = take_inventory(clear, paths, TILE)
    assert outcome.metadata == {"expected": 1, "present": 1, "superseded": 0, "refused": 0, "left_out": 1}
    assert outcome.summary.endswith("1 left out")
    with pytest.raises(SceneError, match="all 2 scenes are outside the source's dates or over its max_cloud"):
        take_inventory(make_collection({**source, "dates": "2020-01-01/2020-12-31"}), paths, TILE)


def test_pixels_that_contradict_their_metadata_are_refused(collection, paths, products):
    build_catalog(collection, paths)
    metadata = products[0] / "MTD_MSIL2A.xml"
    text = metadata.read_text().replace(">-1000</BOA_ADD_OFFSET>", ">0</BOA_ADD_OFFSET>")
    metadata.write_text(text.replace("BASELINE>05.09", "BASELINE>03.01"))
    outcome = take_inventory(collection, paths, TILE)
    reason = _rows(outcome)[0]["reason"]
    assert "PROCESSING_BASELINE 03.01" in reason
    assert "the offset is still in the pixels" in reason
    assert outcome.metadata["present"] == 1


def test_what_was_seen_in_the_pixels_stays_known(collection, paths, products, tmp_path):
    late = shutil.move(products[1], tmp_path / products[1].name)
    build_catalog(collection, paths)
    first = _present(collection, paths)[0].radiometry
    shutil.move(late, products[1])
    assert _present(collection, paths)[0].radiometry == first
    assert "B02" in str(first.evidence["darkest pixels"])


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
        assert outcome.metadata == {"expected": 3, "present": 3, "superseded": 0, "refused": 0, "left_out": 0}
        assert all("the provider clipped reflectance below zero" in row["remark"] for row in _rows(outcome))
        assert all("915 x 915 px of 120 m, believed over" in row["remark"] for row in _rows(outcome))
        seen = [record.radiometry.evidence["darkest pixels"] for record in read_inventory(paths, tile).present]
        assert all(line.startswith("B02 ") and line.endswith("(0.1 percentile, stored numbers)") for line in seen)
    assert {tile.grid.height for tile in read_catalog(paths)} == {915}


def _stac(shared_data):
    from agri_assets.scenes.settings import StacCatalogSource

    return StacCatalogSource(kind="stac_catalog", path=shared_data / "worldcover")
