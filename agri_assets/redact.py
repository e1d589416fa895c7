"""Secrets in addresses: which parameters are some, and text without them."""

import re

SECRET_PARAMETERS = frozenset(
    {"sig", "se", "sp", "sv", "sr", "st", "spr", "ske", "skoid", "sks", "skt", "sktid", "skv", "signature", "token"}
    | {"expires", "policy", "key-pair-id", "awsaccesskeyid", "access_token", "api_key", "apikey", "key", "auth"}
    | {"subscription-key", "subscription_key", "client_secret", "secret", "password", "pwd", "sessiontoken"}
)
"""Query parameters of signed addresses (Azure SAS, CloudFront, S3 version 2, API keys), beside `x-amz-*`."""

HIDDEN = "***"

_USER = re.compile(r"(?<=://)[^/?#@\s]+@")
_PARAMETER = re.compile(r"(?<=[?&;])([\w.%-]+)=([^&;#\s'\"`<>()\[\]{}]*)")


def is_secret(parameter: str) -> bool:
    """Whether a query parameter of this name opens something."""
    name = parameter.lower()
    return name in SECRET_PARAMETERS or name.startswith(("x-amz-", "x-goog-"))


def redacted(text: str) -> str:
    """The text with users, passwords and the values of secret parameters of all addresses in it hidden."""
    return _PARAMETER.sub(_hide, _USER.sub(f"{HIDDEN}@", text))


def _hide(match: re.Match[str]) -> str:
    return f"{match[1]}={HIDDEN}" if is_secret(match[1]) else match[0]
