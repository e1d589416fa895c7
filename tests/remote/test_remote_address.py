"""Addresses: what is remote, and what is a secret."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agri_assets.remote.address import is_remote, provider_of, without_signature


@pytest.mark.parametrize(
    ("href", "remote"),
    [
        ("https://h/x", True),
        ("S3://b/x", True),
        ("http://[bad", True),
        ("/a/x.tif", False),
        ("/vsizip/{/a/x.zip}/m", False),
        ("C:/x", False),
        ("file:///x", False),
    ],
)
def test_remote_is_what_another_host_has(href, remote):
    assert is_remote(href) is remote


@pytest.mark.parametrize(
    ("href", "kept"),
    [
        ("https://me:pw@h/x.tif?v=1&sig=a%2Bb&se=2020", "https://h/x.tif?v=1"),
        ("https://h/x?X-Amz-Signature=1&x-goog-date=2", "https://h/x"),
        ("https://h/x#part", "https://h/x"),
        ("http://[bad/x?sig=1", "http://[bad/x"),
        ("/a path/x.tif", "/a path/x.tif"),
    ],
)
def test_signatures_and_passwords_are_left_out(href, kept):
    assert without_signature(href) == kept


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60))
def test_any_text_has_a_form_without_signature(text):
    shown = without_signature(f"https://host/x?sig=planted&{text}")
    assert "planted" not in shown
    assert without_signature(shown) == shown


def test_a_provider_is_named_by_its_host():
    assert provider_of("https://Earth-Search.aws.element84.com/v1") == "earth_search_aws_element84_com"
    assert provider_of("s3://bucket/x") == "s3_bucket"
