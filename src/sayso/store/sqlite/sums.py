"""Checksums over stored rows: a bit that changed on the disk is noticed when its row is read."""

from __future__ import annotations

from zlib import crc32


def row_sum(data: bytes, *columns: object) -> int:
    """The CRC-32 of a row: another one for whatever changed within 32 bits, and nearly always for other changes."""
    return crc32(data, crc32("\0".join(map(str, columns)).encode("utf-8", "surrogateescape")))
