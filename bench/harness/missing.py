"""What a measurement needs and this machine lacks, and how to get it."""

from __future__ import annotations


class Missing(Exception):
    """Says what, and where it comes from."""

    @classmethod
    def of(cls, what: str, packages: str) -> Missing:
        return cls(f"{what} is missing; on Debian and Ubuntu: apt install {packages}")
