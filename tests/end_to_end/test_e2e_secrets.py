"""Secrets of the environment and of addresses are in nothing that commands leave behind or say."""

import pytest

from tests.remote.server import RemoteServer

pytestmark = pytest.mark.e2e

MARK = "pLaNtEd"
"""Stands in every secret that is planted, and nowhere else."""


def files_with(folder, text):
    return [str(path) for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_the_main_job_leaves_no_secret_behind(finished_home):
    """Events, logs of steps, receipts, reports, maps and the bundle, made with secrets in the environment."""
    assert any(path.suffix == ".db" for path in finished_home.folder.rglob("*"))
    assert finished_home.environment["AWS_SECRET_ACCESS_KEY"].startswith(MARK)
    assert files_with(finished_home.folder, MARK) == []
    # the databases hold what happened: what is looked for would be found
    assert files_with(finished_home.folder / "dagster_home", "efficientnet_b3")


@pytest.mark.parametrize("status", [403, pytest.param(404, marks=pytest.mark.soak)])
def test_an_address_with_secrets_is_named_without_them(home, tmp_path, status):
    with RemoteServer(tmp_path) as site:
        site.fail("v1", "status", status=status, times=99)
        address = site.at("v1").replace("://", f"://me:{MARK}0password@") + f"?token={MARK}0token&v=1"
        text = """
collections:
  fields:
    source: {kind: stac, path: "${ADDRESS}", tiles: [33TWL]}
    bands: [B02]
    labels: {kind: worldcover, path: /nowhere}
"""
        (home.folder / "collections.yaml").write_text(text)
        output = home.materialize("key:fields/tile_catalog", ok=False, ADDRESS=address)
        assert site.counts["/v1"]
    assert "/v1?token=***&v=1" in output
    assert MARK not in output
    assert files_with(home.folder, MARK) == []
    assert files_with(home.folder / "dagster_home", "token=***")


def test_a_bad_value_that_holds_a_secret_is_said_without_it(home):
    text = """
collections:
  fields:
    source: {kind: safe, path: "${ADDRESS}"}
    bands: [B02]
    labels: {kind: worldcover, path: /nowhere}
"""
    (home.folder / "collections.yaml").write_text(text)
    output = home.materialize("key:fields/tile_catalog", ok=False, ADDRESS=f"https://h/scenes?sig={MARK}")
    assert "https://h/scenes?sig=***" in output
    assert MARK not in output
    assert files_with(home.folder, MARK) == []
