from pathlib import Path

import pytest

from agri_assets.config import collections_path, data_root, load_collections
from agri_assets.errors import ConfigError
from agri_assets.training.presets import PRESETS, Preset
from agri_assets.training.recipe import Recipe

GOOD = """\
x-common: &common [B02, B03]

collections:
  fields:
    source:
      kind: safe
      path: inbox
    bands: *common
    labels: {kind: worldcover, path: "${COVER:-cover}"}
  archive:
    source: {kind: archive, path: "${ARCHIVE}", val: "${VAL:-}"}
    bands: [B04]
    labels: {kind: classes, agricultural: [Pasture]}
"""


def _load(folder: Path, text: str = GOOD, **environment: str):
    path = folder / "collections.yaml"
    path.write_text(text)
    return load_collections(path, environment)


def _refused(folder: Path, text: str, name: str = "fields", **environment: str) -> str:
    with pytest.raises(ConfigError) as caught:
        _load(folder, text, **environment).collection(name)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_relative_paths_count_from_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    fields = _load(tmp_path).collection("fields")
    assert fields.source.path == tmp_path / "inbox"
    assert fields.labels.path == str(tmp_path / "cover")
    assert fields.bands == ("B02", "B03")


def test_absolute_paths_and_variables(tmp_path):
    file = _load(tmp_path, COVER="/maps", ARCHIVE="/tiles.zip")
    assert file.collection("fields").labels.path == "/maps"
    archive = file.collection("archive")
    assert archive.source.path == Path("/tiles.zip")
    assert archive.source.val is None
    assert archive.is_archive


def test_an_unset_variable_breaks_only_its_own_collection(tmp_path):
    file = _load(tmp_path)
    assert file.names == ("fields", "archive")
    assert file.collection("fields").name == "fields"
    assert file.outline("archive").archive
    with pytest.raises(ConfigError, match=r"collections\.yaml:11: ARCHIVE is not set; export ARCHIVE="):
        file.collection("archive")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("    bands: *common", "    bands: *common\n    bandz: [B02]", ":9: unknown key 'bandz'"),
        ("      path: inbox", "      path: inbox\n      pathh: x", ":8: unknown key 'source.pathh'"),
        ("path: inbox", "tiles: [33TWL]", "source.path: is missing"),
        ("kind: safe", "kind: magic", ":5: source: kind 'magic' is none of sample, safe"),
        ("bands: *common", "bands: [B02, B02]", "name one band twice"),
        ("bands: *common", "bands: []", ":8: bands: "),
        (
            "bands: *common",
            "bands: *common\n    tile_size: 16",
            ":9: tile_size: Input should be greater than or equal to 32, got 16",
        ),
        ("bands: *common", "bands: *common\n    split: {resolution: high}", ":9: split.resolution: "),
        ("bands: *common", "bands: *common\n    recipe: {epoch: 3}", ":9: unknown key 'recipe.epoch'"),
        ("bands: *common", "bands: *common\n    models: {vgg: {}}", ":9: models.vgg"),
        ("kind: worldcover, path", "kind: classes, agricultural: [x], p", "labels"),
    ],
)
def test_bad_values_are_named_with_file_line_and_expectation(tmp_path, old, new, expected):
    assert old in GOOD
    message = _refused(tmp_path, GOOD.replace(old, new, 1))
    assert message.startswith(str(tmp_path / "collections.yaml"))
    assert expected in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ":1: expected a mapping"),
        ("- a\n", ":1: expected a mapping"),
        ("collections: [a]\n", ":1: `collections` must be a mapping"),
        ("collections:\n  Bad-Name: {}\n", ":2: bad collection name 'Bad-Name'"),
        ("collections:\n  a: {}\n  a: {}\n", ":3: collection 'a' is declared twice"),
        ("collection:\n  a: {}\n", ":1: unknown key 'collection'"),
        ("collections:\n  a: {b: [}\n", ":2: not valid YAML"),
        ("collections: {}\n", "declares no collections"),
        ("collections:\n  fields: 3\n", ":2: expected a mapping of settings"),
        ("collections:\n  other: {}\n", "no collection 'fields'; it declares other"),
    ],
)
def test_files_of_the_wrong_shape_are_refused(tmp_path, text, expected):
    assert expected in _refused(tmp_path, text)


def test_an_archive_is_labelled_by_classes_and_scenes_by_land_cover(tmp_path):
    text = GOOD.replace("{kind: classes, agricultural: [Pasture]}", "{kind: worldcover}")
    assert "an archive are `kind: classes`" in _refused(tmp_path, text, "archive", ARCHIVE="x")


def test_a_models_own_settings_lie_over_the_shared_recipe(tmp_path):
    more = "    recipe: {epochs: 7}\n    models: {resnet50: {epochs: 2}, cnn_vit_hybrid: {}}\n"
    fields = _load(tmp_path, GOOD.replace("    bands: *common\n", "    bands: *common\n" + more)).collection("fields")
    assert fields.recipe_for("resnet50").epochs == 2
    assert fields.recipe_for("cnn_vit_hybrid").epochs == 7
    assert set(fields.models) == {"resnet50", "cnn_vit_hybrid"}


def test_a_preset_lies_below_what_is_said(tmp_path, monkeypatch):
    preset = Preset({"epochs": 30, "jitter": 0.5}, {"resnet50": {"epochs": 11, "batch_size": 16}})
    monkeypatch.setitem(PRESETS, "fast", preset)
    more = "    recipe: {preset: fast, jitter: 0.25}\n    models: {resnet50: {batch_size: 8}, cnn_vit_hybrid: {}}\n"
    fields = _load(tmp_path, GOOD.replace("    bands: *common\n", "    bands: *common\n" + more)).collection("fields")
    resnet, hybrid = fields.recipe_for("resnet50"), fields.recipe_for("cnn_vit_hybrid")
    assert (resnet.epochs, resnet.batch_size, resnet.jitter) == (11, 8, 0.25)
    assert (hybrid.epochs, hybrid.batch_size, hybrid.jitter) == (30, Recipe().batch_size, 0.25)
    assert fields.recipe_for("cnn_vit_hybrid", "").epochs == Recipe().epochs


def test_options_of_the_network_lie_over_those_of_a_preset_one_by_one(tmp_path, monkeypatch):
    monkeypatch.setitem(PRESETS, "fast", Preset({}, {"cnn_vit_hybrid": {"options": {"depth": 2, "width": 96}}}))
    more = "    recipe: {preset: fast}\n    models: {cnn_vit_hybrid: {options: {depth: 6}}}\n"
    fields = _load(tmp_path, GOOD.replace("    bands: *common\n", "    bands: *common\n" + more)).collection("fields")
    assert fields.recipe_for("cnn_vit_hybrid").options == {"depth": 6, "width": 96}


@pytest.mark.parametrize(("said", "meant"), [("w.safetensors", "{folder}/w.safetensors"), ("hub", "hub"), ("/w", "/w")])
def test_weights_to_begin_with_count_from_the_file(tmp_path, said, meant):
    more = (
        f"    recipe: {{pretrained: {said}}}\n    models: {{resnet50: {{pretrained: {said}}}, cnn_vit_hybrid: {{}}}}\n"
    )
    fields = _load(tmp_path, GOOD.replace("    bands: *common\n", "    bands: *common\n" + more)).collection("fields")
    for model in fields.models:
        assert fields.recipe_for(model).pretrained == meant.format(folder=tmp_path)


def test_a_missing_file_says_where_to_set_it(tmp_path):
    with pytest.raises(ConfigError, match="AGRI_COLLECTIONS"):
        load_collections(tmp_path / "absent.yaml", {})


def test_where_things_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert data_root({}) == tmp_path / "data"
    assert data_root({"AGRI_DATA_ROOT": "/big"}) == Path("/big")
    assert str(data_root({"AGRI_DATA_ROOT": "s3://bucket/data/"}) / "sample") == "s3://bucket/data/sample"
    for address in ("s3://", "https://host/data"):
        with pytest.raises(ConfigError, match=r"expected a directory or s3://bucket/prefix"):
            data_root({"AGRI_DATA_ROOT": address})
    assert collections_path({"AGRI_COLLECTIONS": "mine.yaml"}) == tmp_path / "mine.yaml"
    assert collections_path({}).name == "collections.yaml"
    (tmp_path / "collections.yaml").write_text(GOOD)
    assert collections_path({}) == tmp_path / "collections.yaml"


def test_the_shipped_page_is_valid():
    shipped = Path(__file__).parents[1] / "collections.yaml"
    variables = dict.fromkeys(("AGRI_SENTINEL2", "AGRI_WORLDCOVER", "AGRI_EUROSAT"), "/x")
    file = load_collections(shipped, variables)
    assert file.names == ("sample", "sentinel2", "eurosat")
    for name in file.names:
        assert file.collection(name).bands
        assert "unspecified" not in file.collection(name).licence
    for kind in ("safe", "stac_catalog"):
        switched = load_collections(shipped, {**variables, "AGRI_SENTINEL2_KIND": kind})
        assert switched.collection("sentinel2").source.kind == kind


def test_a_key_given_twice_is_named_with_both_lines(tmp_path):
    text = GOOD.replace("    bands: *common\n", "    bands: *common\n    tile_size: 32\n    tile_size: 64\n")
    with pytest.raises(ConfigError, match=r"collections\.yaml:10: key 'tile_size' stands twice, first on line 9"):
        _load(tmp_path, text)


BODY = """
    source: {kind: safe, path: inbox}
    bands: [B02]
    labels: {kind: worldcover, path: cover}
"""


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (BODY.replace("{kind: safe, path: inbox}", "inbox"), ":3: source: expected a mapping"),
        (BODY.replace("{kind: worldcover, path: cover}", "worldcover"), ":5: labels: expected a mapping"),
        ("\n", ":2: expected a mapping of settings"),
        (" [1]\n", ":2: expected a mapping of settings"),
        (BODY + "    models: 5\n", ":6: models: expected a mapping"),
        (BODY + "    models:\n      resnet50:\n        epochs: many\n", ":8: models.resnet50.epochs: Input should"),
        (BODY + "    models: {resnet50: {epoch: 3}}\n", ":6: unknown key 'models.resnet50.epoch'"),
        (BODY.replace("kind: safe, ", ""), ":3: source: needs a key `kind`"),
        (BODY.replace("[B02]", "B02"), ":4: bands: expected a list, got 'B02'"),
        (BODY.replace("path: inbox", 'path: "https://h/x"'), ":3: source.path: 'https://h/x' is an address"),
    ],
)
def test_a_malformed_collection_is_named_and_breaks_no_other(tmp_path, body, expected):
    text = f"collections:\n  bad:{body}  good:{BODY}"
    file = _load(tmp_path, text)
    assert [file.outline(name).archive for name in file.names] == [False, False]
    assert file.collection("good").name == "good"
    assert expected in _refused(tmp_path, text, "bad")


def test_an_unset_variable_with_an_empty_default_says_nothing(tmp_path):
    text = f"collections:\n  fields:{BODY}    tile_size: ${{SIZE:-}}\n    resampling: '${{HOW:-}}'\n"
    fields = _load(tmp_path, text).collection("fields")
    assert (fields.tile_size, fields.resampling) == (64, "nearest")
    assert _load(tmp_path, text, SIZE="128").collection("fields").tile_size == 128


def test_the_kind_of_a_source_may_be_a_variable(tmp_path):
    body = BODY.replace("kind: safe", 'kind: "${KIND:-archive}"')
    assert _load(tmp_path, f"collections:\n  fields:{body}").outline("fields").archive
    assert not _load(tmp_path, f"collections:\n  fields:{body}", KIND="safe").outline("fields").archive
