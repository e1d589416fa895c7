"""Maps of a data root in object storage."""

from dataclasses import replace

from agri_assets.maps.land_map import build_map
from agri_assets.objects import ObjectPath


def test_a_map_in_object_storage_is_that_on_disk(study, object_storage, tmp_path, monkeypatch):
    monkeypatch.setenv("AGRI_CACHE", str(tmp_path / "cache"))
    here = build_map(study.collection, study.paths, "31TCJ")
    study.paths.receipt("land_map", "31TCJ").unlink()
    # locks of a disk mean nothing in object storage
    for lock in study.paths.folder.rglob("*.lock"):
        lock.unlink()
    root = ObjectPath("s3://bucket/data")
    root.put_folder(study.paths.root)
    there = replace(study.paths, root=root)
    outcome = build_map(study.collection, there, "31TCJ")
    assert outcome.data_version == here.data_version
    assert outcome.whole
    for name in ("31TCJ.html", "mosaic.vrt", "probability/mosaic.vrt"):
        assert (there.folder / "maps" / name).read_text() == (study.paths.folder / "maps" / name).read_text()
    assert not list((tmp_path / "cache").rglob("*.npz"))
    assert build_map(study.collection, there, "31TCJ").reused
