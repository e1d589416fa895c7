"""Addresses: what is remote, whose it is, and what of it may be written down."""

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from agri_assets.redact import is_secret

SCHEMES = ("http", "https", "s3")


def is_remote(href: str) -> bool:
    """Whether `href` is an address at another host rather than a path."""
    return href.partition("://")[0].lower() in SCHEMES


def without_signature(href: str) -> str:
    """The address without user, password and the parameters that sign it: what may be stored and shown."""
    try:
        parts = urlsplit(href)
    except ValueError:
        return href.partition("?")[0]
    kept = [(key, value) for key, value in parse_qsl(parts.query, keep_blank_values=True) if not is_secret(key)]
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, urlencode(kept), ""))


def provider_of(address: str) -> str:
    """A short name for an address's host, such as `earth_search_aws_element84_com`: the pool its requests share."""
    parts = urlsplit(address)
    host = parts.hostname or "local"
    name = host if parts.scheme != "s3" else f"s3_{host}"
    return "".join(letter if letter.isalnum() else "_" for letter in name.lower())
