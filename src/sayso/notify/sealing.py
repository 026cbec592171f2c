"""What only one device can read (RFC 8291), and what shows its push service who sends it (RFC 8292). Pure but for the
dice of keys."""

from __future__ import annotations

import binascii
import json
import os
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import SplitResult

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    derive_private_key,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sayso.errors import Fault, Invalid

_CURVE: Final = SECP256R1()
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the curve P-256 (SEC 2, 2.4.2): private keys are smaller."""
_RECORD: Final = 4_096
"""Bytes of the one record of a message, the most that push services take (RFC 8030, 7.2)."""
_POINT: Final = 65
_SALT: Final = 16
_SECRET: Final = 16
_BASE64: Final = re.compile(r"[A-Za-z0-9_-]*={0,2}")
"""URL-safe; Python's own reader passes over whatever else stands there."""
_LAST: Final = b"\x02"
"""What ends the last record (RFC 8188, 2)."""
_LASTS: Final = timedelta(hours=12)
"""For how long a token counts; a day at most (RFC 8292, 2)."""


def private_key(secret: bytes) -> EllipticCurvePrivateKey:
    """The server's key, the same for the same secret."""
    return derive_private_key(int.from_bytes(secret) % (_ORDER - 1) + 1, _CURVE)


def public_text(key: EllipticCurvePrivateKey) -> str:
    """Its public half, as browsers take it: the uncompressed point, URL-safe Base64."""
    return _text(_point(key.public_key()))


class Receiver:
    """Whom messages are sealed for: a device, by what its browser gave. Raises Invalid."""

    def __init__(self, p256dh: str, auth: str) -> None:
        try:
            self._point = _bytes(p256dh)
            if len(self._point) != _POINT:
                raise ValueError("it is no uncompressed one")
            self._key = EllipticCurvePublicKey.from_encoded_point(_CURVE, self._point)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise Invalid(Fault("/keys/p256dh", "must be a point of P-256 in URL-safe Base64")) from None
        self._auth = _bytes(auth)
        if len(self._auth) != _SECRET:
            raise Invalid(Fault("/keys/auth", f"must be {_SECRET} bytes in URL-safe Base64"))

    def sealed(self, message: bytes, *, key: EllipticCurvePrivateKey | None = None, salt: bytes | None = None) -> bytes:
        """The body in the coding `aes128gcm`. `key` and `salt` are new for each message, but in tests."""
        key, salt = key or generate_private_key(_CURVE), salt or os.urandom(_SALT)
        ours = _point(key.public_key())
        shared = _derived(
            key.exchange(ECDH(), self._key), self._auth, b"WebPush: info\0" + self._point + ours, SHA256.digest_size
        )
        content_key = _derived(shared, salt, b"Content-Encoding: aes128gcm\0", 16)
        nonce = _derived(shared, salt, b"Content-Encoding: nonce\0", 12)
        head = salt + _RECORD.to_bytes(4) + bytes([len(ours)]) + ours
        return head + AESGCM(content_key).encrypt(nonce, message + _LAST, None)


def authorization(key: EllipticCurvePrivateKey, endpoint: SplitResult, now: datetime, contact: str | None) -> str:
    """The header's value for that push service. `contact`: a URL at which its operator finds out who sends."""
    claims = {
        "aud": f"{endpoint.scheme}://{endpoint.netloc}",
        "exp": int((now + _LASTS).timestamp()),
    } | ({"sub": contact} if contact else {})
    signed = f"{_json({'typ': 'JWT', 'alg': 'ES256'})}.{_json(claims)}"
    r, s = decode_dss_signature(key.sign(signed.encode(), ECDSA(SHA256())))
    return f"vapid t={signed}.{_text(r.to_bytes(32) + s.to_bytes(32))},k={public_text(key)}"


def _derived(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(secret)


def _point(key: EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _json(members: dict[str, object]) -> str:
    return _text(json.dumps(members, separators=(",", ":")).encode())


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    """b"" for what is no Base64."""
    if not _BASE64.fullmatch(text):
        return b""
    try:
        return urlsafe_b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))
    except binascii.Error:
        return b""
