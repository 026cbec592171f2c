"""Where deliveries go, and where they never do: counted at a socket that listens and at the resolver."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from sayso.errors import Misconfigured
from sayso.notify.addresses import is_allowed
from sayso.notify.pinned import resolve
from sayso.notify.sending import NotDelivered
from sayso.notify.webhook import Settings, Webhook
from tests.notify.around import around
from tests.notify.receiver import SECRET, Receiver, receiving
from tests.notify.test_webhook import event

FORBIDDEN = [
    *("127.0.0.1", "127.9.9.9", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "192.168.1.1"),  # noqa: S104
    *("169.254.169.254", "169.254.1.1", "100.64.0.1", "192.0.0.1", "192.0.2.1", "198.18.0.1", "168.63.129.16"),
    *("192.88.99.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "::2", "fe80::1", "fec0::1"),
    *("fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254"),
    *("::127.0.0.1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
    *("64:ff9b:1::10.0.0.1", "2001:0:4136:e378:8000:63bf:80ff:fffe"),
]
SPELLINGS = ["127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "localhost", "[::1]", "[::ffff:7f00:1]"]


@contextmanager
def listening() -> Iterator[socket.socket]:
    """A socket on which `accept` fails at once where nobody has come."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        yield listener


def webhook(
    host: str, port: int, monkeypatch: pytest.MonkeyPatch, *addresses: Sequence[str], allow: str = ""
) -> Webhook:
    """Whose resolver gives these, one after the other; without any, what the system says."""
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    left = list(addresses)

    async def give(host: str, port: int) -> Sequence[str]:
        return left.pop(0) if addresses else await resolve(host, port)

    scheme = "http" if allow else "https"
    settings = Settings(url=f"{scheme}://{host}:{port}/", secrets=("HOOK_SECRET",), allow=(allow,) if allow else ())
    return Webhook(settings, around(), resolve=give)


@pytest.mark.promise("NOTIFY-7")
@pytest.mark.parametrize("address", FORBIDDEN)
def test_an_address_that_is_not_of_the_internet_is_refused(address: str) -> None:
    assert not is_allowed(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"])
def test_an_address_of_the_internet_is_not(address: str) -> None:
    assert is_allowed(ipaddress.ip_address(address))


def test_what_is_allowed_is_allowed_in_every_form_and_nothing_else() -> None:
    allowed = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1")]
    fine = [is_allowed(ipaddress.ip_address(one), allowed) for one in ("10.1.2.3", "::ffff:10.1.2.3", "::1")]
    assert fine == [True, True, True]
    others = [is_allowed(ipaddress.ip_address(one), allowed) for one in ("11.0.0.1", "127.0.0.1", "::ffff:127.0.0.1")]
    assert others == [True, False, False]


@pytest.mark.promise("NOTIFY-7")
@pytest.mark.parametrize("host", SPELLINGS)
async def test_no_spelling_of_this_machine_is_connected_to(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as listener:
        carrier = webhook(host, listener.getsockname()[1], monkeypatch)
        with pytest.raises(NotDelivered, match="no address of the internet"):
            await carrier.send(event())
        await carrier.close()
        with pytest.raises(BlockingIOError):
            listener.accept()


async def test_one_address_that_is_not_allowed_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as listener:
        carrier = webhook("both.example", listener.getsockname()[1], monkeypatch, ["93.184.216.34", "127.0.0.1"])
        with pytest.raises(NotDelivered, match=r"127\.0\.0\.1 is no address"):
            await carrier.send(event())
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.mark.promise("NOTIFY-7")
async def test_a_name_that_changes_its_mind_is_asked_once_and_keeps_its_host(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked a second time, between check and connection, it would say where nobody listens; the list would be empty."""
    allow = "127.0.0.1"
    carrier = webhook("hooks.example", receiver.port, monkeypatch, ["127.0.0.1"], allow=allow)
    await carrier.send(event())
    await carrier.close()
    assert receiver.got[0].headers["host"] == f"hooks.example:{receiver.port}"
    with listening() as listener:
        other = ["127.0.0.2"]  # it has changed: looked at anew for a new connection
        carrier = webhook("hooks.example", listener.getsockname()[1], monkeypatch, other, allow=allow)
        with pytest.raises(NotDelivered, match=r"127\.0\.0\.2 is no address"):
            await carrier.send(event())
        with pytest.raises(BlockingIOError):
            listener.accept()


async def test_proxies_of_the_environment_are_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as listener:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{listener.getsockname()[1]}")
        carrier = webhook("127.0.0.1", receiver.port, monkeypatch, allow="127.0.0.1")
        await carrier.send(event())
        await carrier.close()
        assert len(receiver.got) == 1
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://hooks.example/", "https"),
        ("ftp://hooks.example/", "write it as"),
        ("https://user:pass@hooks.example/", "no password"),
        ("https:///path", "write it as"),
        ("https://hooks.example:99999/", "write it as"),
        ("https://h\u00f6oks.example/", "write it as"),
        ("https://hooks.example/\r\nx", "write it as"),
    ],
)
def test_a_url_that_cannot_be_meant_is_refused_at_the_start(
    url: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    with pytest.raises(Misconfigured, match=why):
        Webhook(Settings(url=url, secrets=("HOOK_SECRET",)), around())
