"""The asset graph: what it holds, and how it hangs together."""

import dagster as dg
import pytest

from agri_assets.config import load_collections
from agri_assets.definitions import build_definitions, defs
from agri_assets.defs.upkeep import cluster_tags


def keys(*names: str) -> set[dg.AssetKey]:
    return {dg.AssetKey(name.split("/")) for name in names}


def test_definitions_are_loadable():
    dg.Definitions.validate_loadable(defs)


def test_every_collection_has_its_assets():
    found = defs.resolve_asset_graph().get_all_asset_keys()
    shared = ["tile_cube", "splits", "model_comparison", "bundle"]
    for model in ("resnet50", "efficientnet_b3", "cnn_vit_hybrid"):
        shared += [model, f"{model}_report"]
    scenes = [*shared, "tile_catalog", "raw_scenes", "land_cover", "land_map"]
    expected = {f"eurosat/{name}" for name in shared}
    expected |= {f"{collection}/{name}" for collection in ("sample", "sentinel2") for name in scenes}
    assert found == keys(*expected)


def test_partitions_are_per_tile_and_per_collection():
    graph = defs.resolve_asset_graph()
    for name in ("raw_scenes", "land_cover", "tile_cube", "land_map"):
        partitions = graph.get(dg.AssetKey(["sentinel2", name])).partitions_def
        assert isinstance(partitions, dg.DynamicPartitionsDefinition)
        assert partitions.name == "sentinel2_tiles"
    for name in ("tile_catalog", "splits", "resnet50", "resnet50_report", "model_comparison", "bundle"):
        assert graph.get(dg.AssetKey(["sentinel2", name])).partitions_def is None


# dagster's own parser uses a parameter that it calls beta
@pytest.mark.filterwarnings("ignore:Parameter `include_sources`")
@pytest.mark.parametrize(
    ("selection", "members"),
    [
        (
            "key:eurosat/tile_cube+",
            "tile_cube splits resnet50 efficientnet_b3 cnn_vit_hybrid resnet50_report efficientnet_b3_report "
            "cnn_vit_hybrid_report model_comparison bundle",
        ),
        (
            "key:sample/splits+ and not key:sample/land_map",
            "splits resnet50 efficientnet_b3 cnn_vit_hybrid resnet50_report efficientnet_b3_report "
            "cnn_vit_hybrid_report model_comparison bundle",
        ),
        ("key:eurosat/efficientnet_b3", "efficientnet_b3"),
    ],
)
def test_documented_selections_select_what_they_say(selection, members):
    chosen = dg.AssetSelection.from_string(selection).resolve(defs.resolve_asset_graph())
    collection = selection.split("/")[0].removeprefix("key:")
    assert chosen == keys(*(f"{collection}/{name}" for name in members.split()))


def test_training_waits_for_the_device_pool():
    assert defs.get_assets_def(dg.AssetKey(["sample", "cnn_vit_hybrid"])).op.pool == "gpu"


def test_every_asset_has_an_owner_a_kind_and_a_description():
    graph = defs.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.owners, key
        assert node.kinds, key
        assert len(node.description or "") > 30, key


def test_trainings_ask_a_cluster_for_what_the_environment_says():
    tags = defs.get_assets_def(dg.AssetKey(["sample", "cnn_vit_hybrid"])).op.tags
    assert tags["dagster-k8s/config"]
    asked = cluster_tags({"AGRI_K8S_GPUS": "2", "AGRI_K8S_MEMORY": "64Gi"})["dagster-k8s/config"]["container_config"]
    assert asked["resources"]["limits"] == {"memory": "64Gi", "nvidia.com/gpu": "2"}
    none = cluster_tags({"AGRI_K8S_GPUS": "0"})["dagster-k8s/config"]["container_config"]
    assert "nvidia.com/gpu" not in none["resources"]["limits"]


def test_what_schedules_keep_has_to_be_fresh():
    graph = defs.resolve_asset_graph()
    fresh = {key.path[-1] for key in graph.get_all_asset_keys() if graph.get(key).freshness_policy}
    assert fresh == {"tile_catalog", "tile_cube", "model_comparison"}


def blocking(asset: str) -> dict[str, bool]:
    specs = defs.get_assets_def(dg.AssetKey(asset.split("/"))).check_specs
    return {check.name: check.blocking for check in specs if check.asset_key.path[-1] == asset.split("/")[-1]}


@pytest.mark.parametrize(
    ("asset", "blocks", "warns"),
    [
        (
            "sample/tile_cube",
            {"checksums"},
            {"every_scene_built", "clear_fraction", "no_missing_scenes", "band_histograms"},
        ),
        (
            "sample/splits",
            {"disjoint_on_the_ground", "no_duplicate_pixels"},
            {"split_sound", "class_balance", "class_drift"},
        ),
        ("sample/cnn_vit_hybrid", {"finite_loss", "train_statistics"}, {"training_sound", "data_wait"}),
        ("sample/cnn_vit_hybrid_report", set(), {"scores_trustworthy", "calibration"}),
        ("sample/model_comparison", set(), {"champion_named", "champion_kept"}),
        ("sample/land_map", set(), {"map_complete", "band_histograms"}),
        ("eurosat/tile_cube", {"checksums"}, {"every_scene_built"}),
    ],
)
def test_what_must_not_happen_blocks_and_the_rest_warns(asset, blocks, warns):
    found = blocking(asset)
    assert {name for name, blocks in found.items() if blocks} == blocks
    assert {name for name, blocks in found.items() if not blocks} == warns


def test_users_collections_and_models_become_assets(tmp_path, monkeypatch):
    (tmp_path / "collections.yaml").write_text(
        """
collections:
  orchard:
    source: {kind: safe, path: "${NOWHERE_SET}"}
    bands: [B02, B03]
    labels: {kind: worldcover, path: "${NOWHERE_SET}"}
    models: {efficientnet_b3: {}}
"""
    )
    monkeypatch.setenv("AGRI_COLLECTIONS", str(tmp_path / "collections.yaml"))
    assert load_collections().names == ("orchard",)
    found = build_definitions().resolve_asset_graph().get_all_asset_keys()
    assert dg.AssetKey(["orchard", "efficientnet_b3_report"]) in found
    assert dg.AssetKey(["orchard", "resnet50"]) not in found


def test_an_asset_of_an_unset_collection_fails_in_one_line(monkeypatch):
    monkeypatch.delenv("AGRI_EUROSAT", raising=False)
    asset = defs.get_assets_def(dg.AssetKey(["eurosat", "tile_cube"]))
    with pytest.raises(dg.Failure, match=r"collections\.yaml:\d+: AGRI_EUROSAT is not set; export AGRI_EUROSAT="):
        dg.materialize([asset], resources=defs.resources)
