"""A certificate for this machine, for an hour's measuring."""

from __future__ import annotations

from pathlib import Path

import trustme


def certificate(folder: Path) -> tuple[Path, Path]:
    """The PEM files of a certificate and its key, in `folder`."""
    made = trustme.CA().issue_cert("127.0.0.1", "localhost")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    made.cert_chain_pems[0].write_to_path(certificate)
    made.private_key_pem.write_to_path(key)
    return certificate, key
