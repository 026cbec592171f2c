"""TLS of the server's own: a certificate and its key from files, with errors that say which file is wrong and how."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from sayso.errors import Misconfigured

_Path = str | Path


@dataclass(frozen=True)
class TLS:
    """`certificate`: PEM, with the certificates between it and its root. `key`: PEM; None where the certificate's file
    holds it, too. `password_file`: its first line opens the key.
    """

    certificate: _Path
    key: _Path | None = None
    password_file: _Path | None = None

    @classmethod
    def of(cls, certificate: _Path | None, key: _Path | None, password_file: _Path | None) -> TLS | None:
        """None without any of them. Raises Misconfigured."""
        if certificate is not None:
            return cls(certificate, key, password_file)
        if key is not None or password_file is not None:
            raise Misconfigured("for TLS a certificate is needed, too: tls_certificate")
        return None

    def context(self) -> ssl.SSLContext:
        """What a server speaks TLS 1.2 or later with. Raises Misconfigured."""
        _read(self.certificate, "tls_certificate")
        if self.key is not None:
            _read(self.key, "tls_key")
        password = _Password(self.password_file)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(self.certificate, self.key, password)
        except ssl.SSLError as exc:
            raise Misconfigured(self._wrong(exc, password)) from exc
        return context

    def _wrong(self, exc: ssl.SSLError, password: _Password) -> str:
        key = self.key or self.certificate
        if exc.reason == "KEY_VALUES_MISMATCH":
            return f"the key in {key} is not that of the certificate in {self.certificate}"
        if password.was_asked:
            return f"the password in {self.password_file} does not open the key in {key}"
        if self.key is None:
            return f"{self.certificate} does not hold a certificate and its key, both in PEM; or name the key: tls_key"
        return f"{self.certificate} is no certificate, or {key} no key, in PEM ('-----BEGIN …')"


class _Password:
    """Asked by OpenSSL, which would otherwise ask whoever sits at the terminal."""

    def __init__(self, file: _Path | None) -> None:
        self._file = file
        self.was_asked = False

    def __call__(self) -> str:
        self.was_asked = True
        if self._file is None:
            raise Misconfigured("the key for TLS is encrypted; put its password into a file: tls_password_file")
        return next(iter(_read(self._file, "tls_password_file").splitlines()), "")


def _read(path: _Path, setting: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is no text"
        raise Misconfigured(f"{setting} names {path}, which cannot be read: {reason}") from exc
