"""Requests: what is tried again, what is an error, and what an error says."""

import logging
import os
import threading

import pytest

from agri_assets.errors import RemoteError
from agri_assets.remote import client as client_module
from agri_assets.remote import http
from agri_assets.remote.client import client

CONTENT = bytes(range(256)) * 400


@pytest.fixture
def served(remote_server):
    (remote_server.folder / "f.bin").write_bytes(CONTENT)
    (remote_server.folder / "f.json").write_text('{"a": [1, 2]}')
    return remote_server


def test_reads_exactly_what_is_asked_for_in_one_request(served):
    assert client().read(served.at("f.bin"), 10, 500) == CONTENT[10:500]
    assert served.requests == [("GET", "/f.bin", "bytes=10-499", 206)]
    assert client().read(served.at("f.bin"), len(CONTENT) - 5, len(CONTENT) + 50) == CONTENT[-5:]
    assert client().size(served.at("f.bin")) == len(CONTENT)
    assert client().json(served.at("f.json")) == {"a": [1, 2]}


def test_says_whether_a_file_exists(served):
    (served.folder / "empty").write_bytes(b"")
    assert client().exists(served.at("f.bin"))
    assert client().exists(served.at("empty"))
    assert client().size(served.at("empty")) == 0
    assert not client().exists(served.at("g.bin"))
    served.fail("f.bin", "status", status=403)
    with pytest.raises(RemoteError, match="403"):
        client().exists(served.at("f.bin"))


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_tries_again_what_may_pass(served, status):
    served.fail("f.bin", "status", status=status, times=2)
    assert client().read(served.at("f.bin"), 0, 9) == CONTENT[:9]
    assert served.counts["/f.bin"] == 3


def test_waits_as_long_as_the_host_asks_for(served, monkeypatch, caplog):
    monkeypatch.setattr(http, "TOLD_WAIT_S", 0.5)
    served.fail("f.bin", "status", status=429, retry_after="1")
    with caplog.at_level(logging.WARNING, logger="agri_assets"):
        assert client().read(served.at("f.bin"), 0, 9) == CONTENT[:9]
    assert "429" in caplog.text
    assert "wait 1 s" in caplog.text


def test_long_waits_of_our_own_are_told_in_one_line_and_urllib3_says_nothing(served, monkeypatch, caplog):
    monkeypatch.setattr(http, "TOLD_WAIT_S", 0.05)
    monkeypatch.setattr(http.Http, "backoff_s", 0.05)
    logging.getLogger("urllib3").setLevel(logging.NOTSET)
    client_module._forget()
    served.fail("f.bin", "cut", times=3)
    with caplog.at_level(logging.WARNING):
        assert client().read(served.at("f.bin"), 0, 9) == CONTENT[:9]
    assert {record.name.partition(".")[0] for record in caplog.records} == {"agri_assets"}
    assert "tries without an answer; the next one in 0 s" in caplog.text


@pytest.mark.parametrize(
    ("header", "seconds"), [("3", 3.0), ("99999", http.LONGEST_WAIT_S), ("soon", None), (None, None)]
)
def test_caps_what_a_host_asks_for(header, seconds):
    import urllib3

    response = urllib3.HTTPResponse(status=429, headers={"Retry-After": header} if header else {})
    assert http.Patience().get_retry_after(response) == seconds


@pytest.mark.parametrize("path", ["f.bin", "f.json"])
def test_asks_again_after_a_cut_in_the_middle_of_a_body(served, path):
    served.fail(path, "cut", times=2)
    content = (served.folder / path).read_bytes()
    assert client().read(served.at(path), 1, len(content)) == content[1:]
    assert served.counts[f"/{path}"] == 3


def test_gives_up_on_a_body_that_is_always_cut(served):
    served.fail("f.bin", "cut", times=99)
    with pytest.raises(RemoteError, match="no whole answer") as caught:
        client().read(served.at("f.bin"), 0, 90)
    assert caught.value.transient
    assert served.counts["/f.bin"] == http.Http.retries + 1


@pytest.mark.parametrize(
    ("status", "transient"),
    [(400, False), (401, False), (403, False), (404, False), (410, False), (429, True), (503, True)],
)
def test_an_error_is_one_line_with_host_status_and_whether_it_may_pass(served, status, transient):
    served.fail("f.bin", "status", status=status, times=99)
    with pytest.raises(RemoteError) as caught:
        client().read(served.at("f.bin?page=2&sig=planted"), 0, 9)
    message = str(caught.value)
    assert caught.value.transient is transient
    assert f"{served.at('f.bin?page=2')}: 127.0.0.1 answered {status}" in message
    assert "planted" not in message
    assert "\n" not in message
    # what cannot pass is not asked for twice
    assert served.counts["/f.bin"] == (http.Http.retries + 1 if transient else 1)


def test_a_host_that_is_not_there_is_a_passing_error(monkeypatch):
    with pytest.raises(RemoteError, match=r"127\.0\.0\.1") as caught:
        client().read("http://127.0.0.1:9/x?sig=planted", 0, 5)
    assert caught.value.transient
    assert "planted" not in str(caught.value)


def test_a_silent_host_is_a_passing_error(served, monkeypatch):
    monkeypatch.setattr(http.Http, "timeout_s", 0.2)
    monkeypatch.setattr(http.Http, "retries", 1)
    served.fail("f.bin", "slow", times=2)
    with pytest.raises(RemoteError, match="no whole answer") as caught:
        client().read(served.at("f.bin"), 0, 5)
    assert caught.value.transient


def test_a_host_without_ranges_is_read_if_the_file_is_small(served, monkeypatch):
    served.fail("f.bin", "whole", times=2)
    assert client().read(served.at("f.bin"), 5, 25) == CONTENT[5:25]
    monkeypatch.setattr(client_module, "LARGEST_DOCUMENT", 1000)
    with pytest.raises(RemoteError, match="does not serve ranges"):
        client().read(served.at("f.bin"), 5, 25)


def test_other_bytes_than_asked_for_are_an_error(served):
    served.fail("f.bin", "shifted")
    with pytest.raises(RemoteError, match="bytes 5-24 were asked for"):
        client().read(served.at("f.bin"), 5, 25)
    with pytest.raises(RemoteError, match="416"):
        client().read(served.at("f.bin"), len(CONTENT), len(CONTENT) + 5)


def test_documents_are_json_and_bounded(served, monkeypatch):
    served.fail("f.json", "html")
    with pytest.raises(RemoteError, match="not JSON"):
        client().json(served.at("f.json"))
    monkeypatch.setattr(client_module, "LARGEST_DOCUMENT", 5)
    with pytest.raises(RemoteError, match="more than was asked for"):
        client().json(served.at("f.json"))


@pytest.mark.parametrize("url", ["ftp://host/x", "file:///etc/passwd", "/a/path", "http://", "http://[bad/x"])
def test_other_addresses_are_refused(url):
    with pytest.raises(RemoteError) as caught:
        client().read(url, 0, 5)
    assert not caught.value.transient


def test_redirects_are_followed_and_loops_are_errors(served):
    served.fail("moved", "redirect", location=served.at("f.bin"))
    assert client().read(served.at("moved"), 5, 9) == CONTENT[5:9]
    served.fail("loop", "redirect", location=served.at("loop?sig=planted"), times=99)
    with pytest.raises(RemoteError, match="no whole answer") as caught:
        client().read(served.at("loop"), 5, 9)
    assert "planted" not in str(caught.value)


def test_the_proxy_of_the_environment_is_used(served, monkeypatch):
    monkeypatch.setenv("http_proxy", served.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert client().read("http://example.invalid/f.bin", 5, 9) == CONTENT[5:9]
    assert client().read(served.at("f.bin"), 5, 9) == CONTENT[5:9]
    assert [path for _, path, _, _ in served.requests] == ["http://example.invalid/f.bin", "/f.bin"]


def test_urllib3_logs_no_query(served, caplog):
    served.fail("f.bin", "cut")
    served.fail("f.bin", "status")
    with caplog.at_level(logging.DEBUG, logger="urllib3"):
        client().read(served.at("f.bin?sig=planted&x=1"), 0, 9)
    assert "/f.bin" in caplog.text
    assert "planted" not in caplog.text


def test_many_threads_share_one_client(served):
    found = []

    def read(number: int) -> None:
        found.append(
            client().read(served.at("f.bin"), number * 100, number * 100 + 100) == CONTENT[:10000][number * 100 :][:100]
        )

    threads = [threading.Thread(target=read, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 20


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_a_client_of_its_own(served):
    parent = client()
    parent.read(served.at("f.bin"), 0, 5)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        same = client() is parent
        os.write(writer, b"own" if not same and client().read(served.at("f.bin"), 0, 5) == CONTENT[:5] else b"bad")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 3) == b"own"
    os.close(reader)
    os.close(writer)
    assert client() is parent
