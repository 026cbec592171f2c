"""Leases over HTTP, and as the clients take them."""

from __future__ import annotations

import httpx
import pytest

import sayso
from sayso import HumanInputServer
from sayso.errors import Invalid, Leased
from tests.conftest import KEY


@pytest.mark.promise("LEASE-1")
def test_a_lease_is_one_holders_until_it_is_given_back(client: httpx.Client) -> None:
    def want(holder: str) -> int:
        return client.put("/leases/work", json={"holder": holder, "seconds": 60}).status_code

    assert [want("one"), want("two"), want("one")] == [204, 409, 204]
    assert client.delete("/leases/work", params={"holder": "two"}).status_code == 204
    assert want("two") == 409
    client.delete("/leases/work", params={"holder": "one"})
    assert want("two") == 204
    assert client.put("/leases/other", json={"holder": "one", "seconds": 60}).status_code == 204


@pytest.mark.promise("LEASE-1")
def test_a_lease_whose_holder_says_nothing_lapses(client: httpx.Client) -> None:
    client.put("/leases/work", json={"holder": "one", "seconds": 0.000001})
    assert client.put("/leases/work", json={"holder": "two", "seconds": 60}).status_code == 204


_NO_TIME = [{"holder": "one", "seconds": seconds} for seconds in (0, -1, 3601, "1")]


@pytest.mark.parametrize("body", [{}, {"holder": "one"}, {"holder": "a b", "seconds": 1}, *_NO_TIME])
def test_a_lease_without_a_holder_or_a_time_is_refused(client: httpx.Client, body: dict[str, object]) -> None:
    assert client.put("/leases/work", json=body).status_code == 422
    assert client.delete("/leases/work").status_code == 422


async def test_the_clients_take_and_give_back_leases(server: HumanInputServer) -> None:
    async with sayso.AsyncClient(server.url, KEY) as one:
        await one.lease("work", "one", 60)
        with sayso.Client(server.url, KEY) as two:
            with pytest.raises(Leased):
                two.lease("work", "two", 60)
            await one.release("work", "one")
            two.lease("work", "two", 60)
            two.release("work", "two")
            with pytest.raises(Invalid):
                two.lease("work", "two", 0)
            two.keep("run-1", "draft-1", b"draft")
        assert await one.kept("draft-1") == b"draft"
        await one.lease("work", "one", 60)
        await one.keep("run-1", "draft-2", b"draft")


def test_it_needs_the_key(server: HumanInputServer) -> None:
    assert httpx.put(f"{server.url}/leases/work", json={"holder": "one", "seconds": 60}).status_code == 401
