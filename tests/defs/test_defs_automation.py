"""What runs by itself: nothing until it is turned on, then what has changed and no more."""

import json
import shutil
from datetime import UTC, datetime

import dagster as dg
import pytest

from agri_assets.definitions import defs
from agri_assets.defs.automation import ON_NEW_DATA
from agri_assets.defs.resources import Store
from agri_assets.samples.writer import write_samples
from agri_assets.scenes.catalog import CatalogTile, build_catalog, write_catalog
from agri_assets.scenes.inventory import list_scenes, take_inventory
from agri_assets.scenes.source import open_source
from agri_assets.scenes.tile_grid import nominal_grid
from agri_assets.store.receipt import Outcome, write_outcome

TILES = ("31TCJ", "31TDJ")
REPOSITORY = defs.get_repository_def()


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    write_samples(folder, list(TILES), dates=2, size=384, cloudy_dates=0, damaged=0)
    return folder


@pytest.fixture
def inbox(pristine, tmp_path):
    return shutil.copytree(pristine, tmp_path / "inbox")


@pytest.fixture
def store(inbox, tmp_path):
    """The store of a project whose only collection, `sentinel2`, reads an inbox."""
    (tmp_path / "collections.yaml").write_text(
        f"""
collections:
  sentinel2:
    source: {{kind: safe, path: "{inbox}"}}
    bands: [B02, B05]
    labels: {{kind: worldcover, path: "unused"}}
"""
    )
    return Store(collections_file=str(tmp_path / "collections.yaml"), data_root=str(tmp_path / "data"))


class Sensor:
    """The sensor, tick after tick, as the daemon would ask it."""

    def __init__(self, store, instance):
        self.store, self.cursor, self.instance = store, None, instance

    def tick(self):
        """The tile and the assets of each run that is asked for."""
        sensor = REPOSITORY.get_sensor_def("sentinel2_new_scenes")
        told = {"cursor": self.cursor, "resources": {"store": self.store}, "instance": self.instance}
        with dg.build_sensor_context(**told) as context:
            result = sensor(context)
        self.cursor = result.cursor or self.cursor
        self.skipped = result.skip_reason and result.skip_reason.skip_message
        self.run_keys = [run.run_key for run in result.run_requests or ()]
        self.registered = [key for one in result.dynamic_partitions_requests or () for key in one.partition_keys]
        return [
            (run.partition_key, sorted(key.path[-1] for key in run.asset_selection))
            for run in result.run_requests or ()
        ]


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def sensor(store, instance):
    return Sensor(store, instance)


def ingest(store):
    collection, paths = store.collection("sentinel2"), store.paths("sentinel2")
    build_catalog(collection, paths)
    for tile in TILES:
        take_inventory(collection, paths, tile)


def test_nothing_runs_until_it_is_turned_on():
    everything = [*REPOSITORY.sensor_defs, *REPOSITORY.schedule_defs]
    assert len(everything) > 5
    assert {str(one.default_status.value) for one in everything} == {"STOPPED"}


INGESTED = ["land_cover", "raw_scenes", "tile_cube"]


def test_new_tiles_are_catalogued_and_then_built(store, sensor):
    assert sensor.tick() == [(None, ["tile_catalog"])]
    build_catalog(store.collection("sentinel2"), store.paths("sentinel2"))
    assert sensor.tick() == []
    assert "2 of them changed" in sensor.skipped
    assert sensor.tick() == [(tile, INGESTED) for tile in TILES]
    assert sensor.registered == list(TILES)
    ingest(store)
    assert sensor.tick() == []
    assert "nothing to do" in sensor.skipped


def test_only_the_tile_with_a_new_scene_is_asked_for_once_it_is_copied(store, sensor, inbox, tmp_path):
    product = max(inbox.glob("*T31TDJ*.SAFE"))
    away = shutil.move(product, tmp_path / product.name)
    ingest(store)
    assert sensor.tick() == []
    shutil.copytree(away, product, ignore=shutil.ignore_patterns("*B05*"))
    assert sensor.tick() == []
    shutil.rmtree(product)
    shutil.copytree(away, product)
    # it was still changing
    assert sensor.tick() == []
    assert sensor.tick() == [("31TDJ", INGESTED)]


def test_one_of_two_hundred_tiles_is_asked_for_alone(store, sensor, inbox):
    product = min(inbox.glob("*T31TCJ*.SAFE"))
    tiles = [f"31T{column}{row}" for column in "CDEFGHJKLM" for row in "ABCDEFGHJKLMNPQRSTUV"]
    for tile in tiles:
        # what is already in an inventory is told by names, sizes and times alone
        (inbox / product.name.replace("T31TCJ", f"T{tile}")).mkdir(exist_ok=True)
    collection, paths = store.collection("sentinel2"), store.paths("sentinel2")
    grid = nominal_grid("31TCJ", 10.0)
    write_catalog(paths.catalog, [CatalogTile(tile, True, grid) for tile in tiles])
    source = open_source(collection, paths)
    for tile in tiles:
        version = list_scenes(collection, source, tile, grid).version
        taken = Outcome(path=paths.inventory(tile), fingerprint=version, data_version=version, summary="taken")
        write_outcome(paths.receipt("raw_scenes", tile), taken)
    assert sensor.tick() == []
    assert "200 tiles looked at, nothing to do" in sensor.skipped
    shutil.copytree(product, inbox / product.name.replace("T31TCJ", "T31TJM").replace("20230611", "20230621"))
    assert sensor.tick() == []
    assert sensor.tick() == [("31TJM", INGESTED)]
    assert sensor.registered == ["31TJM"]


def test_a_run_is_asked_for_under_one_key_as_long_as_nothing_changes(store, sensor):
    build_catalog(store.collection("sentinel2"), store.paths("sentinel2"))
    run_keys = []
    for _ in range(3):
        sensor.tick()
        run_keys.append(sensor.run_keys)
    assert run_keys[0] == []
    assert run_keys[1] == run_keys[2] != []
    assert set(json.loads(sensor.cursor)["seen"]) == set(TILES)


def test_a_source_that_is_gone_is_said_in_one_line(sensor, inbox):
    shutil.rmtree(inbox)
    assert sensor.tick() == []
    assert str(inbox) in sensor.skipped


def test_every_night_all_tiles_are_asked_for(store):
    schedule = REPOSITORY.get_schedule_def("sentinel2_nightly_ingest")
    ingest(store)
    with dg.DagsterInstance.local_temp() as instance:
        told = {"instance": instance, "scheduled_execution_time": datetime(2024, 5, 3, 2, tzinfo=UTC)}
        with dg.build_schedule_context(resources={"store": store}, **told) as context:
            found = schedule(context)
        assert set(instance.get_dynamic_partitions("sentinel2_tiles")) == set(TILES)
    assert [run.partition_key for run in found] == [None, *TILES]
    assert len({run.run_key for run in found}) == 3


def test_every_week_all_models_are_trained_and_reported():
    job = REPOSITORY.get_job("sentinel2_training")
    names = {key.path[-1] for key in job.asset_layer.executable_asset_keys}
    assert {"splits", "cnn_vit_hybrid", "cnn_vit_hybrid_report", "model_comparison", "bundle"} <= names
    assert not {"land_map", "tile_cube", "raw_scenes"} & names


def test_only_splits_follow_by_themselves():
    graph = defs.resolve_asset_graph()
    following = {key.path[-1] for key in graph.get_all_asset_keys() if graph.get(key).automation_condition}
    assert following == {"splits"}


TOY_TILES = dg.DynamicPartitionsDefinition(name="toy_tiles")


class Toy:
    """A cube of tiles whose content we choose, splits over them, and a model."""

    def __init__(self, instance):
        content = self.content = {}

        @dg.asset(partitions_def=TOY_TILES)
        def cube(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
            return dg.MaterializeResult(data_version=dg.DataVersion(content[context.partition_key]))

        @dg.asset(deps=[cube], automation_condition=ON_NEW_DATA)
        def splits() -> None: ...

        @dg.asset(deps=[splits])
        def model() -> None: ...

        self.cube, self.splits = cube, splits
        self.defs = dg.Definitions(assets=[cube, splits, model])
        self.instance, self.cursor = instance, None
        self.instance.add_dynamic_partitions("toy_tiles", ["A", "B", "broken"])

    def build(self, tile, content):
        self.content[tile] = content
        dg.materialize([self.cube], partition_key=tile, instance=self.instance)

    def make_splits(self):
        dg.materialize([self.cube, self.splits], selection=[self.splits], instance=self.instance)

    def asked(self, done=True):
        """How much is asked for now; it is then done."""
        found = dg.evaluate_automation_conditions(self.defs, self.instance, cursor=self.cursor)
        self.cursor = found.cursor
        if found.total_requested and done:
            self.make_splits()
        return found.total_requested


# dagster's own tester uses a parameter that it calls beta
@pytest.mark.filterwarnings("ignore:Parameter `include_sources`")
def test_splits_follow_changed_data_and_not_mere_runs(instance):
    toy = Toy(instance)
    assert toy.asked() == 0
    toy.build("A", "1")
    assert toy.asked() == 1
    assert toy.asked() == 0
    toy.build("A", "1")
    assert toy.asked() == 0
    toy.build("A", "2")
    assert toy.asked() == 1
    # the tile that is broken holds up nothing
    toy.build("B", "1")
    assert toy.asked() == 1
    assert toy.asked() == 0


@pytest.mark.filterwarnings("ignore:Parameter `include_sources`")
def test_splits_are_made_once_of_what_is_there_when_it_is_turned_on(instance):
    toy = Toy(instance)
    toy.build("A", "1")
    toy.build("B", "1")
    assert toy.asked() == 1
    assert toy.asked() == 0
    assert toy.asked() == 0


@pytest.mark.filterwarnings("ignore:Parameter `include_sources`")
def test_what_comes_while_splits_are_made_is_not_forgotten(instance):
    toy = Toy(instance)
    toy.asked()
    toy.build("A", "1")
    assert toy.asked(done=False) == 1
    assert toy.asked() == 0
    toy.build("A", "2")
    toy.make_splits()
    assert toy.asked() == 1
