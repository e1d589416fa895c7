import argparse
import json
import shutil
import subprocess
import sys

import pytest

from agri_assets.cli import inspect
from agri_assets.cli.main import main
from agri_assets.errors import SceneError
from agri_assets.remote import client as client_module
from agri_assets.remote.http import Http
from agri_assets.scenes.read import inspect_product
from tests.remote.server import RemoteServer

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
    for location in (tmp_path / "absent", tmp_path / "notes.txt", "ftp://example.com/item.json"):
        with pytest.raises(SceneError, match=r"name a \.SAFE directory or zip"):
            inspect_product(str(location))


def test_a_product_is_the_same_from_its_zip(products, tmp_path, capsys):
    archive = shutil.make_archive(str(tmp_path / "zipped"), "zip", products[0].parent, products[0].name)
    assert _run(products[0], "--json") == 0
    unpacked = json.loads(capsys.readouterr().out)
    assert _run(archive, "--json") == 0
    zipped = json.loads(capsys.readouterr().out)
    assert zipped.pop("source") == "safe_zip"
    assert unpacked.pop("source") == "safe"
    for record in (zipped, unpacked):
        for band in record["bands"].values():
            band["href"] = band["href"].rpartition("/")[2]
    assert zipped == unpacked


def test_a_product_is_found_by_its_metadata_file(products):
    assert inspect_product(str(products[0] / "MTD_MSIL2A.xml")) == inspect_product(str(products[0]))


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setattr(Http, "backoff_s", 0.001)
    client_module._forget()
    with RemoteServer(tmp_path) as site:
        yield site
    client_module._forget()


def test_an_item_at_an_address(shared_data, site, capsys):
    source = next((shared_data / "stac_items/earth-search.aws.element84.com_v1/sentinel-2-c1-l2a").glob("*MXV*"))
    item = json.loads(source.read_text())
    item["assets"]["blue"]["href"] = "bands/B02.tif?sv=1&sig=secret"
    site.documents["/items/one"] = item
    assert _run(site.at("items/one"), "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["bands"]["B02"]["href"] == site.at("items/bands/B02.tif")
    assert record["readable"]
    # nothing but the item is asked for
    assert site.counts == {"/items/one": 1}
    assert _run(site.at("items/one")) == 0
    assert "remote, not opened" in capsys.readouterr().out


def test_an_address_without_an_item_is_told(site, capsys):
    site.documents["/catalog.json"] = {"type": "Catalog", "links": []}
    for path, why in (("absent.json", "404"), ("catalog.json", "not a STAC item")):
        assert main(["inspect", site.at(path)]) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert why in line


def test_a_host_that_is_not_there_is_one_line_and_soon_told(site, tmp_path):
    command = [sys.executable, "-m", "agri_assets", "inspect", "https://127.0.0.1:1/x.json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("agri-assets: https://127.0.0.1:1/x.json: no whole answer")


def test_a_failing_host_is_not_asked_as_long_as_by_a_run(site, capsys):
    site.fail("item.json", "status", status=503, times=99)
    assert main(["inspect", site.at("item.json")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert site.counts == {"/item.json": 3}


def test_nothing_is_not_the_current_folder(products, monkeypatch, capsys):
    monkeypatch.chdir(products[0])
    assert main(["inspect", ""]) == 2
    assert "no product is named" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "offset", "shown"),
    [
        ("S2A_MSIL2A_20180721T053721_N0212_R062_T43MDV_20201011T181419.SAFE", 0, "nothing to add"),
        ("S2A_MSIL2A_20230821T221941_N0509_R029_T01KAB_20230822T021825.SAFE", -1000, "179.239 to 180.000 E"),
    ],
)
def test_metadata_only_products_are_shown(shared_data, capsys, name, offset, shown):
    path = shared_data / "safe_metadata" / name
    assert _run(path, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["radiometry"]["offset"], record["readable"]) == (offset, False)
    assert _run(path) == 0
    said = capsys.readouterr().out
    assert "no: metadata only" in said
    assert shown in said
