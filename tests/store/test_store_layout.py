from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agri_assets.errors import StoreError
from agri_assets.store.layout import CollectionPaths

ROOT = Path("/data")
PATHS = CollectionPaths(ROOT, "fields")
MAKERS = (
    PATHS.scenes, PATHS.inventory, PATHS.land_cover, PATHS.cube, PATHS.tiles, PATHS.model, PATHS.report, PATHS.map,
    PATHS.receipt, lambda name: PATHS.model_run("resnet50", name), lambda name: PATHS.report_run(name, "abc"),
    lambda name: PATHS.receipt("raw_scenes", name), lambda name: CollectionPaths(ROOT, name).catalog,
)  # fmt: skip


def test_the_contracts_paths():
    assert PATHS.catalog == ROOT / "fields/catalog.parquet"
    assert PATHS.inventory("33TWL").parent == ROOT / "fields/scenes/33TWL"
    assert PATHS.land_cover("33TWL") == ROOT / "fields/land_cover/33TWL.tif"
    assert PATHS.cube("33TWL") == ROOT / "fields/cube/33TWL.zarr"
    assert PATHS.tiles("33TWL") == ROOT / "fields/tiles/33TWL.parquet"
    assert PATHS.assignments == ROOT / "fields/splits/assignments.parquet"
    assert PATHS.split_summary == ROOT / "fields/splits/summary.json"
    assert PATHS.model_run("resnet50", "0123456789ab") == ROOT / "fields/models/resnet50/0123456789ab"
    assert PATHS.report_run("resnet50", "0123456789ab") == ROOT / "fields/reports/resnet50/0123456789ab"
    assert PATHS.champion == ROOT / "fields/champion.json"
    assert PATHS.map("33TWL") == ROOT / "fields/maps/33TWL.tif"


@pytest.mark.parametrize(
    "name", ["..", "../x", "a/../../b", "/etc", "", ".hidden", "a/b", "a\\b", "a\0b", "a\n", "a..b"]
)
def test_names_that_could_escape_are_refused(name):
    for make in MAKERS:
        with pytest.raises(StoreError, match="cannot be a file name"):
            make(name)


@given(st.text(max_size=12))
def test_no_name_leaves_the_collections_folder(name):
    for make in MAKERS[:-1]:
        try:
            path = make(name)
        except StoreError:
            continue
        assert path.resolve().is_relative_to(ROOT / "fields")
