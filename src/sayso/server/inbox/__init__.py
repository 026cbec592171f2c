"""The inbox: one page for every waiting question. It is served from files that `clients/inbox` builds."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final, Self

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sayso.errors import NotFound

_PAGE: Final = "index.html"
_MEDIA: Final = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "png": "image/png",
    "svg": "image/svg+xml",
    "webmanifest": "application/manifest+json",
}
_POLICY: Final = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "manifest-src": "'self'",
    "worker-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
    "trusted-types": "sayso-worker",  # the one policy there is: it names the stream's worker; none makes HTML
}
_HEADERS: Final = {
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in _POLICY.items()),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_FOR_EVER: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class _File:
    """A built file as it is sent; `version` is what its address carries as `?v=`, so that it can be kept for ever."""

    data: bytes
    zipped: bytes
    media: str
    version: str

    @classmethod
    def of(cls, name: str, data: bytes) -> Self:
        version = hashlib.sha256(data).hexdigest()[:12]
        return cls(data, gzip.compress(data, mtime=0), _MEDIA[name.rpartition(".")[2]], version)

    def response(self, request: Request) -> Response:
        kept = request.query_params.get("v") == self.version
        headers = _HEADERS | {
            "ETag": f'"{self.version}"',
            "Cache-Control": _FOR_EVER if kept else "no-cache",
            "Vary": "Accept-Encoding",
        }
        if headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        zips = "gzip" in request.headers.get("accept-encoding", "") and len(self.zipped) < len(self.data)
        if zips:
            headers["Content-Encoding"] = "gzip"
        return Response(self.zipped if zips else self.data, headers=headers, media_type=self.media)


def routes() -> list[BaseRoute]:
    async def page(request: Request) -> Response:
        return _built()[_PAGE].response(request)

    async def file(request: Request) -> Response:
        found = _built().get(request.path_params["name"])
        if found is None:
            raise NotFound
        return found.response(request)

    return [Route("/", page), Route("/inbox/{name}", file)]


@cache
def _built() -> dict[str, _File]:
    folder = files(__name__).joinpath("built")
    return {one.name: _File.of(one.name, one.read_bytes()) for one in folder.iterdir()}
