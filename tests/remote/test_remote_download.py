"""Copies: whole and right, or absent; continued where they ended; and never made twice."""

import hashlib
import logging
import threading

import pytest

from agri_assets import progress
from agri_assets.errors import RemoteError
from agri_assets.remote import download as download_module
from agri_assets.remote.download import download, parse_checksum
from agri_assets.remote.http import Http

CONTENT = bytes(range(251)) * 4000
PREFIXES = {"sha256": "1220", "sha512": "1340", "sha1": "1114", "md5": "d50110"}


def multihash(content: bytes, name: str = "sha256") -> str:
    return PREFIXES[name] + hashlib.new(name, content, usedforsecurity=False).hexdigest()


@pytest.fixture
def served(remote_server, monkeypatch):
    monkeypatch.setattr(download_module, "PIECE", 100_000)
    (remote_server.folder / "f.bin").write_bytes(CONTENT)
    return remote_server


def interrupted(served, target, pieces=3, **options) -> None:
    """A copy that ends after some pieces; the first request asks for the size."""
    served.fail("f.bin", "none", times=pieces + 1)
    served.fail("f.bin", "status", status=404)
    with pytest.raises(RemoteError, match="404"):
        download(served.at("f.bin"), target, **options)
    assert not target.exists()
    assert target.with_name("f.bin.part").stat().st_size == pieces * 100_000
    served.requests.clear()


@pytest.mark.parametrize("name", sorted(PREFIXES))
def test_a_copy_is_whole_checked_and_not_made_twice(served, tmp_path, name):
    target = tmp_path / "new/f.bin"
    size, checksum = len(CONTENT), multihash(CONTENT, name)
    assert download(served.at("f.bin"), target, size=size, checksum=checksum) == target
    assert target.read_bytes() == CONTENT
    assert not list(target.parent.glob("*.part*"))
    before = served.counts["/f.bin"]
    download(served.at("f.bin"), target, size=size, checksum=checksum)
    assert served.counts["/f.bin"] == before


def test_nothing_but_the_copy_stays(served, tmp_path):
    download(served.at("f.bin"), tmp_path / "new/f.bin", size=len(CONTENT))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["f.bin"]


def test_a_long_copy_tells_how_far_it_is(served, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(progress, "LOG_INTERVAL_S", 0.0)
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: False, raising=False)
    with caplog.at_level(logging.INFO, logger="agri_assets"):
        download(served.at("f.bin"), tmp_path / "f.bin", size=len(CONTENT))
    assert "copying f.bin: 1/2 MB" in caplog.text


def test_where_nothing_is_known_the_host_is_asked_for_the_size(served, tmp_path):
    target = tmp_path / "f.bin"
    target.write_bytes(b"half")
    download(served.at("f.bin"), target)
    assert target.read_bytes() == CONTENT
    served.requests.clear()
    download(served.at("f.bin"), target)
    assert [span for _, _, span, _ in served.requests] == ["bytes=0-0"]


def test_an_interrupted_copy_goes_on_where_it_ended(served, tmp_path):
    target = tmp_path / "f.bin"
    interrupted(served, target)
    download(served.at("f.bin"), target, checksum=multihash(CONTENT))
    assert target.read_bytes() == CONTENT
    assert [span for _, _, span, _ in served.requests][:2] == ["bytes=0-0", "bytes=300000-399999"]


def test_a_copy_is_started_over_when_the_file_changed(served, tmp_path):
    target = tmp_path / "f.bin"
    interrupted(served, target)
    changed = CONTENT[::-1]
    (served.folder / "f.bin").write_bytes(changed)
    download(served.at("f.bin"), target)
    assert target.read_bytes() == changed
    assert served.requests[1][2] == "bytes=0-99999"


@pytest.mark.parametrize("checked", [True, False])
def test_without_a_tag_only_a_checked_copy_goes_on(served, tmp_path, checked):
    served.etags = False
    target = tmp_path / "f.bin"
    checksum = multihash(CONTENT) if checked else None
    interrupted(served, target, checksum=checksum)
    download(served.at("f.bin"), target, checksum=checksum)
    assert target.read_bytes() == CONTENT
    assert served.requests[1][2] == ("bytes=300000-399999" if checked else "bytes=0-99999")


def test_a_file_that_changes_in_the_middle_is_no_mixture(served, tmp_path, monkeypatch):
    real = download_module._piece

    def piece(url, sign, start, first):
        if start == 200_000:
            (served.folder / "f.bin").write_bytes(CONTENT[::-1])
        return real(url, sign, start, first)

    monkeypatch.setattr(download_module, "_piece", piece)
    with pytest.raises(RemoteError, match="changed at its host"):
        download(served.at("f.bin"), tmp_path / "f.bin")
    assert not (tmp_path / "f.bin").exists()


@pytest.mark.parametrize("kind", ["cut", "status"])
def test_faults_within_the_retries_are_not_noticed(served, tmp_path, kind):
    served.fail("f.bin", kind, times=Http.retries)
    download(served.at("f.bin"), tmp_path / "f.bin", checksum=multihash(CONTENT))
    assert (tmp_path / "f.bin").read_bytes() == CONTENT


def test_a_damaged_copy_is_made_again_once(served, tmp_path, caplog):
    target = tmp_path / "f.bin"
    interrupted(served, target)
    with target.with_name("f.bin.part").open("r+b") as handle:
        handle.write(b"damage")
    with caplog.at_level(logging.WARNING):
        download(served.at("f.bin"), target, checksum=multihash(CONTENT))
    assert target.read_bytes() == CONTENT
    assert "copying it again" in caplog.text


def test_a_wrong_checksum_is_an_error_with_both_digests(served, tmp_path):
    wrong = multihash(b"something else")
    with pytest.raises(RemoteError, match="twice") as caught:
        download(served.at("f.bin"), tmp_path / "f.bin", checksum=wrong)
    assert not caught.value.transient
    assert wrong[4:] in str(caught.value)
    assert hashlib.sha256(CONTENT).hexdigest() in str(caught.value)
    assert not list(tmp_path.glob("f.bin*"))
    with pytest.raises(RemoteError, match=f"has {len(CONTENT)} bytes instead of 5"):
        download(served.at("f.bin"), tmp_path / "f.bin", size=5)


def test_a_wrong_file_that_is_there_is_replaced(served, tmp_path):
    target = tmp_path / "f.bin"
    target.write_bytes(CONTENT[::-1])
    download(served.at("f.bin"), target, size=len(CONTENT), checksum=multihash(CONTENT))
    assert target.read_bytes() == CONTENT


def test_a_signature_is_renewed_in_the_middle_and_stored_nowhere(served, tmp_path, monkeypatch):
    served.protected = ("/f.bin",)
    real = download_module._piece

    def piece(url, sign, start, first):
        if start == 500_000:
            served.revoke()
        return real(url, sign, start, first)

    monkeypatch.setattr(download_module, "_piece", piece)
    target = tmp_path / "new/f.bin"
    download(served.at("f.bin"), target, sign=served.sas)
    assert target.read_bytes() == CONTENT
    assert served.counts["/token"] == 2


def test_many_at_once_copy_once(served, tmp_path):
    target = tmp_path / "f.bin"
    threads = [
        threading.Thread(target=download, args=(served.at("f.bin"), target), kwargs={"size": len(CONTENT)})
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_bytes() == CONTENT
    assert served.counts["/f.bin"] == 1 + -(-len(CONTENT) // 100_000)


def test_an_empty_file_is_copied(served, tmp_path):
    (served.folder / "empty").write_bytes(b"")
    assert download(served.at("empty"), tmp_path / "empty").read_bytes() == b""


@pytest.mark.parametrize("text", [None, "", "1220", "1220zz", "ffff" + "0" * 64, "nothing", "1220" + "0" * 63])
def test_checksums_of_other_kinds_are_left_out(text):
    assert parse_checksum(text) is None
