import argparse
import json

import pytest

from agri_assets.cli import inspect
from agri_assets.errors import SceneError
from agri_assets.scenes.read import inspect_product

KEYS = [
    "scene_id", "source", "platform", "mgrs_tile", "level", "acquired", "processing_baseline", "cloud_cover", "crs",
    "transform", "shape", "bands", "radiometry", "footprint", "readable",
]  # fmt: skip


def _run(*arguments):
    parser = argparse.ArgumentParser()
    inspect.configure(parser)
    return inspect.run(parser.parse_args([str(one) for one in arguments]))


def test_json_has_the_contracts_keys(products, capsys):
    assert _run(products[0], "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert list(record) == KEYS
    assert list(record["bands"]["B02"]) == ["href", "resolution", "offset", "scale", "nodata"]
    assert list(record["radiometry"]) == ["offset", "decision", "evidence"]
    assert record["acquired"].endswith("Z")


def test_the_human_form_says_what_was_decided(products, capsys):
    assert _run(products[0]) == 0
    shown = capsys.readouterr().out
    assert "S2A_31TCJ_" in shown
    assert "add -1000" in shown


def test_what_is_no_product_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    for location in (tmp_path / "absent", tmp_path / "notes.txt", "https://example.com/item.json"):
        with pytest.raises(SceneError):
            inspect_product(str(location))
