"""Signatures: made when needed, made anew when refused, and seen by nobody."""

import logging
import sys

import pytest

from agri_assets.errors import RemoteError
from agri_assets.remote.client import client
from agri_assets.remote.signing import Signer, signer_for

# planetary-computer 1.0 configures its models in the manner of pydantic 1
IMPORTED = pytest.mark.filterwarnings("ignore:Support for class-based `config` is deprecated:DeprecationWarning")


@pytest.fixture
def guarded(remote_server):
    (remote_server.folder / "f.bin").write_bytes(b"0123456789" * 100)
    remote_server.protected = ("/f.bin",)
    return remote_server


def test_a_token_is_fetched_once_and_used_for_all(guarded):
    for start in range(5):
        assert (
            client().read(guarded.at("f.bin"), start, start + 5, guarded.sas) == (b"0123456789" * 2)[start : start + 5]
        )
    assert guarded.counts["/token"] == 1


def test_a_refused_token_is_replaced_once(guarded):
    client().read(guarded.at("f.bin"), 0, 5, guarded.sas)
    guarded.revoke()
    assert client().read(guarded.at("f.bin"), 0, 5, guarded.sas) == b"01234"
    assert guarded.counts["/token"] == 2


def test_a_second_refusal_is_an_error_that_does_not_pass(guarded):
    guarded.fail("f.bin", "status", status=403, times=2)
    with pytest.raises(RemoteError, match="403") as caught:
        client().read(guarded.at("f.bin"), 0, 5, guarded.sas)
    assert not caught.value.transient
    assert guarded.counts["/f.bin"] == 2


def test_an_unsigned_read_is_refused_at_once(guarded):
    with pytest.raises(RemoteError, match="403"):
        client().read(guarded.at("f.bin"), 0, 5)
    assert guarded.counts["/f.bin"] == 1


def test_a_token_that_is_about_to_expire_is_renewed(guarded):
    served = iter(["2001-01-01T00:00:00Z", "2999-01-01T00:00:00", "never"])
    signer = Signer(lambda url: {"token": "sig=1", "msft:expiry": next(served)})
    for _ in range(4):
        assert signer.signed("http://h/x?a=1", "http://h/token") == "http://h/x?a=1&sig=1"
    assert list(served) == ["never"]


def test_only_the_refused_token_is_forgotten():
    numbers = iter(range(9))
    signer = Signer(lambda url: {"token": f"sig={next(numbers)}", "msft:expiry": "2999-01-01T00:00:00Z"})
    first = signer.signed("http://h/x", "http://h/token")
    signer.forget("http://h/x", "http://h/token", first)
    second = signer.signed("http://h/x", "http://h/token")
    # a slower thread whose request still bore the first token
    signer.forget("http://h/x", "http://h/token", first)
    assert signer.signed("http://h/x", "http://h/token") == second != first


@pytest.mark.parametrize("answer", [{}, [], {"token": "x"}, {"token": "x", "msft:expiry": "soon"}, None])
def test_an_endpoint_that_answers_otherwise_is_named(answer):
    with pytest.raises(RemoteError, match="is it a SAS token endpoint"):
        Signer(lambda url: answer).signed("http://h/x", "http://h/token")


def test_an_unknown_way_to_sign_is_named():
    with pytest.raises(RemoteError, match="'magic' is no way to sign"):
        client().read("http://127.0.0.1:9/x", 0, 5, "magic")


def test_hosts_have_their_way_to_sign():
    assert signer_for("https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/B02.tif") == "planetary_computer"
    assert signer_for("https://mine.blob.core.windows.net/x/y.tif") == ""
    assert signer_for("https://sentinel-cogs.s3.us-west-2.amazonaws.com/x.tif") == ""
    assert signer_for("/a/path.tif") == ""


@IMPORTED
def test_planetary_computer_signs_by_account_and_container(remote_server, monkeypatch):
    from planetary_computer.settings import Settings

    monkeypatch.setattr(Settings.get(), "sas_url", remote_server.sas)
    signer = Signer(client().json)
    url = "https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/36/B02.tif"
    signed = signer.signed(url, "planetary_computer")
    assert signed.startswith(f"{url}?sv=2024-01-01&sig=")
    assert signer.signed(url, "planetary_computer") == signed
    assert remote_server.counts == {"/token/sentinel2l2a01/sentinel2-l2": 1}
    signer.forget(url, "planetary_computer", signed)
    assert signer.signed(url, "planetary_computer") != signed
    with pytest.raises(RemoteError, match="signs only addresses at"):
        signer.signed(remote_server.at("x"), "planetary_computer")


@IMPORTED
def test_planetary_computer_fails_with_one_line(remote_server, monkeypatch):
    from planetary_computer.settings import Settings

    url = "https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/36/B02.tif"
    monkeypatch.setattr(Settings.get(), "sas_url", remote_server.at("nothing"))
    with pytest.raises(RemoteError, match="no token for sentinel2l2a01/sentinel2-l2"):
        client().read(url, 0, 5, "planetary_computer")
    monkeypatch.setitem(sys.modules, "planetary_computer", None)
    with pytest.raises(RemoteError, match=r"agri-assets\[platform\]"):
        client().read(url, 0, 5, "planetary_computer")


def test_a_token_is_in_no_message_and_no_log(guarded, caplog):
    """Every fault, with all logs of all libraries."""
    messages = []
    with caplog.at_level(logging.DEBUG):
        for faults in [("status", 404), ("status", 403), ("status", 503), ("cut", 0), ("shifted", 0), ("html", 0)]:
            guarded.fail("f.bin", faults[0], status=faults[1], times=9)
            try:
                client().json(guarded.at("f.bin"), guarded.sas)
            except RemoteError as error:
                messages.append(f"{error} {error!r} {error.__cause__!r} {error.__context__!r}")
            guarded._faults.clear()
    secrets = {path.partition("sig=")[2] for _, path, _, _ in guarded.requests} - {""}
    assert secrets
    assert len(messages) == 6
    assert not [secret for secret in secrets if secret in "".join(messages) or secret in caplog.text]
    assert not [secret for secret in secrets if secret in repr(vars(client()._signer))]
