"""No secret of an address is in what an error says, whatever stands around it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agri_assets.errors import RemoteError, SceneError
from agri_assets.redact import redacted

PLANTED = "pLaNtEd%2Fsecret"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:PLANTED@h/x: is gone", "https://***@h/x: is gone"),
        ("GET s3://h/x?v=1&X-Amz-Signature=PLANTED again", "GET s3://h/x?v=1&X-Amz-Signature=*** again"),
        ("(Caused by url: /stac?token=PLANTED&limit=3)", "(Caused by url: /stac?token=***&limit=3)"),
        ("got 'https://h/?sig=PLANTED'", "got 'https://h/?sig=***'"),
        ("key=value is no address, nor is me@host", "key=value is no address, nor is me@host"),
        ("https://h/x?version=3&page=2", "https://h/x?version=3&page=2"),
    ],
)
def test_secrets_are_hidden_and_the_rest_stays(text, shown):
    assert redacted(text.replace("PLANTED", PLANTED)) == shown


@pytest.mark.parametrize("kind", [SceneError, RemoteError])
def test_no_error_of_ours_tells_a_secret(kind):
    error = kind(f"https://h/?sig={PLANTED}: not there")
    assert PLANTED not in str(error) + repr(error)
    assert "not there" in str(error)


@given(st.text(max_size=40), st.text(max_size=40))
def test_hiding_is_done_after_once(before, after):
    text = f"{before}https://a:{PLANTED}@h/?token={PLANTED} {after}"
    shown = redacted(text)
    assert PLANTED not in shown
    assert redacted(shown) == shown
