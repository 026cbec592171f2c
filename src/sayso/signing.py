"""What the server gives away and knows again: values that only the holder of a store's secret can have signed."""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TypeVar

import msgspec
from msgspec import Struct

from sayso.wire import encode

T = TypeVar("T", bound=Struct)


def mac(secret: bytes, *parts: str) -> str:
    """The HMAC-SHA-256 of the parts, hex."""
    return hmac.new(secret, "\x1f".join(parts).encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def signed(value: Struct, purpose: str, secret: bytes) -> str:
    """`value` as text for URLs and cookies, which nobody else can make, and nobody can use for another purpose."""
    data = urlsafe_b64encode(encode(value)).rstrip(b"=").decode()
    return f"{data}.{mac(secret, purpose, data)}"


def read(text: str, type_: type[T], purpose: str, secret: bytes) -> T | None:
    """The value that `signed` wrote; None for anything else."""
    data, _, given = text.partition(".")
    if not hmac.compare_digest(given.encode("utf-8", "surrogatepass"), mac(secret, purpose, data).encode()):
        return None
    return msgspec.json.decode(urlsafe_b64decode(data + "=" * (-len(data) % 4)), type=type_)
