"""Signatures, made when an address is read: never stored, shown or logged.

Names of ways to sign: empty (none), `planetary_computer`, or the https address of a SAS token endpoint that answers
`{"token": "<query string>", "msft:expiry": "<time>"}`
(https://planetarycomputer.microsoft.com/docs/concepts/sas/).
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from agri_assets.errors import RemoteError
from agri_assets.remote.address import without_signature

PLANETARY_COMPUTER = "planetary_computer"

PLANETARY_COMPUTER_ACCOUNTS = frozenset({"sentinel2l2a01", "ai4edataeuwest"})
"""Azure storage accounts of its Sentinel-2 L2A and ESA WorldCover collections."""

BLOB_DOMAIN = ".blob.core.windows.net"

EARLY = timedelta(seconds=60)
"""Tokens are renewed this long before they expire."""


@dataclass(frozen=True)
class Token:
    """A query string that opens addresses until it expires."""

    query: str
    expires: datetime

    def fresh(self) -> bool:
        """Whether it can still be used."""
        return datetime.now(UTC) + EARLY < self.expires

    def __repr__(self) -> str:
        return f"Token(expires={self.expires:%Y-%m-%dT%H:%M:%SZ})"


class Signer:
    """Tokens of one process, by the endpoint or the storage container that they are for."""

    def __init__(self, fetch: Callable[[str], Any]) -> None:
        self._fetch = fetch
        self._tokens: dict[str, Token] = {}
        self._lock = threading.Lock()

    def signed(self, url: str, sign: str) -> str:
        """The address with its signature; as it is where it is not to be signed.

        Raises:
            RemoteError: No token can be had.
        """
        if not sign:
            return url
        key = _scope(url, sign)
        # one thread fetches, the others wait for its token
        with self._lock:
            token = self._tokens.get(key)
            if token is None or not token.fresh():
                token = self._new_token(key, url, sign)
                self._tokens[key] = token
        return f"{url}{'&' if '?' in url else '?'}{token.query}"

    def forget(self, url: str, sign: str, refused: str) -> None:
        """Drop the token of `refused`, the signed address that a host did not accept."""
        with self._lock:
            token = self._tokens.get(_scope(url, sign))
            # another thread may have renewed it since
            if token is not None and refused.endswith(token.query):
                del self._tokens[_scope(url, sign)]

    def _new_token(self, key: str, url: str, sign: str) -> Token:
        if sign == PLANETARY_COMPUTER:
            return _planetary_computer_token(url, *key.split("/"))
        document = self._fetch(sign)
        try:
            query = str(document["token"]).lstrip("?")
            return Token(query, _time(str(document["msft:expiry"])))
        except (KeyError, TypeError, ValueError):
            raise RemoteError(
                f"{without_signature(sign)}: answers without `token` and `msft:expiry`; is it a SAS token endpoint?",
                transient=False,
            ) from None


def signer_for(href: str) -> str:
    """How an address is signed where nothing else is said: by its host."""
    account, _, _ = (urlsplit(href).hostname or "").partition(BLOB_DOMAIN)
    return PLANETARY_COMPUTER if account in PLANETARY_COMPUTER_ACCOUNTS else ""


def _scope(url: str, sign: str) -> str:
    """What one token is good for: an endpoint's choice, or `account/container`."""
    if sign != PLANETARY_COMPUTER:
        if urlsplit(sign).scheme not in ("http", "https"):
            raise RemoteError(
                f"sign: {sign!r} is no way to sign; use `{PLANETARY_COMPUTER}` or the address of a SAS token endpoint",
                transient=False,
            )
        return sign
    parts = urlsplit(url)
    account, _, rest = (parts.hostname or "").partition(".")
    container = parts.path.split("/")[1] if "/" in parts.path else ""
    if f".{rest}" != BLOB_DOMAIN or not container:
        raise RemoteError(
            f"{without_signature(url)}: {PLANETARY_COMPUTER} signs only addresses at *{BLOB_DOMAIN}; leave `sign` out",
            transient=False,
        )
    return f"{account}/{container}"


def _planetary_computer_token(url: str, account: str, container: str) -> Token:
    """A token by the package `planetary_computer`, which knows the endpoint and the user's subscription key.

    Raises:
        RemoteError: The package is missing, or its endpoint gives no token.
    """
    try:
        from planetary_computer import sas
    except ImportError:
        raise RemoteError(
            f"{without_signature(url)}: signing needs the package planetary-computer; install agri-assets[platform]",
            transient=False,
        ) from None
    try:
        # its own cache would give the token back that a host has just refused
        sas.TOKEN_CACHE.clear()
        token = sas.get_token(account, container, retry_total=5, retry_backoff_factor=0.5)
    except (OSError, ValueError, KeyError) as error:
        # requests' errors are OSErrors; their text may quote what was asked
        raise RemoteError(
            f"{without_signature(url)}: no token for {account}/{container} from the planetary computer "
            f"({type(error).__name__}); try again later"
        ) from None
    return Token(token.token, token.expiry)


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
