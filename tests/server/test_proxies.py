"""What a proxy says of the caller counts where the proxy is listed, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sayso import HumanInputServer, limits
from sayso.errors import Misconfigured
from sayso.server.caller import Caller
from sayso.server.calls import Calls
from tests.server.raw import AUTHORISED, call
from tests.server.test_doors import ROADS, Road

Serve = Callable[..., HumanInputServer]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Whose address each call was counted for."""
    addresses: list[str] = []
    begun = Calls.begun

    def noted(calls: Calls, address: str, caller: Caller | None) -> Any:
        addresses.append(address)
        return begun(calls, address, caller)

    monkeypatch.setattr(Calls, "begun", noted)
    return addresses


@pytest.mark.promise("DOOR-9")
@pytest.mark.parametrize(
    ("listed", "said", "counted"),
    [
        ([], "192.0.2.1", "127.0.0.1"),
        (["10.0.0.0/8"], "192.0.2.1", "127.0.0.1"),
        (["127.0.0.1"], "192.0.2.1", "192.0.2.1"),
        (["127.0.0.0/8"], "192.0.2.1", "192.0.2.1"),
        (["127.0.0.1"], "198.51.100.7, 192.0.2.1", "192.0.2.1"),
        (["127.0.0.1", "10.0.0.0/8"], "198.51.100.7, 192.0.2.1, 10.0.0.9", "192.0.2.1"),
        (["127.0.0.1"], "2001:db8::1", "2001:db8::1"),
        (["127.0.0.1"], "[2001:db8::1]:4711", "2001:db8::1"),
        (["127.0.0.1"], "", "127.0.0.1"),
    ],
)
async def test_the_callers_address_is_what_the_last_listed_proxy_says(
    serve: Serve, seen: list[str], listed: list[str], said: str, counted: str
) -> None:
    server = serve(trusted_proxies=listed)
    url = server.url.replace("localhost", "127.0.0.1")
    assert (await call(url, "/requests", AUTHORISED, ("X-Forwarded-For", said))).status == 200
    assert seen == [counted]


@pytest.mark.promise("DOOR-9", "CAP-3")
@pytest.mark.parametrize("name", ["list", "poll", "sse", "websocket", "page", "session"])
async def test_addresses_behind_a_listed_proxy_have_their_caps(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(limits, "CONNECTIONS_PER_ADDRESS", 0)
    road: Road = ROADS[name]
    for listed, status in ((["127.0.0.1"], 429), ([], road.status)):
        url = serve(trusted_proxies=listed).url.replace("localhost", "127.0.0.1")
        reply = await call(url, road.path, AUTHORISED, ("X-Forwarded-For", "192.0.2.1"), method=road.method)
        assert reply.status == status
        if status == 429:
            assert (reply.problem, reply.headers["retry-after"]) == ("too-many", "1")


@pytest.mark.promise("DOOR-9", "DOOR-8")
async def test_tls_at_a_listed_proxy_counts_as_tls(serve: Serve) -> None:
    over = (("X-Forwarded-Proto", "https"), ("X-Forwarded-For", "192.0.2.1"), ("Host", "sayso.example"))
    origins = ["https://sayso.example"]
    for listed, stays in ((["127.0.0.1"], True), ([], False)):
        url = serve(trusted_proxies=listed, allow_origins=origins).url.replace("localhost", "127.0.0.1")
        reply = await call(url, "/health", *over)
        assert ("strict-transport-security" in reply.headers) == stays
        plain = await call(url, "/requests", *over, AUTHORISED, ("Origin", "http://sayso.example"))
        assert plain.status == (403 if stays else 200)


@pytest.mark.promise("DOOR-4")
async def test_without_a_key_what_a_proxy_passed_on_is_refused_also_where_it_is_listed(serve: Serve) -> None:
    url = serve(trusted_proxies=["127.0.0.1"], api_key=None).url.replace("localhost", "127.0.0.1")
    assert (await call(url, "/requests", ("X-Forwarded-For", "127.0.0.1"))).status == 403
    assert (await call(url, "/requests")).status == 200


@pytest.mark.parametrize("proxies", [["*"], ["proxy.example"], ["10.0.0.1/8"], ["0.0.0.0/0"], ["::/0"], "10.0.0.7"])
def test_what_is_no_proxys_address_is_refused(proxies: Any) -> None:
    with pytest.raises(Misconfigured, match="trusted_proxies"):
        HumanInputServer(port=0, quiet=True, adapters=False, trusted_proxies=proxies)
