"""What is sealed and signed for push services, held to the RFCs' own example and to packages by others."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from urllib.parse import urlsplit

import http_ece
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from py_vapid import Vapid02

from sayso.errors import Invalid
from sayso.notify.sealing import Receiver, authorization, private_key, public_text
from tests.notify.push_service import Phone, raw, text

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_the_example_of_rfc_8291_comes_out_to_the_byte() -> None:
    """Appendix A."""
    number = int.from_bytes(raw("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"))
    device = Receiver(
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        "BTBZMqHH6r4Tts7J_aSIgg",
    )
    sealed = device.sealed(
        b"When I grow up, I want to be a watermelon",
        key=ec.derive_private_key(number, ec.SECP256R1()),
        salt=raw("DGv6ra1nlYgDCS1FRnbzlw"),
    )
    assert text(sealed) == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3"
        "jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


def test_each_message_is_sealed_anew_and_for_one_device_alone() -> None:
    one, other = Phone("https://push.example", "one"), Phone("https://push.example", "other")
    device = Receiver(**one.wanted["keys"])  # type: ignore[arg-type]
    first, second = device.sealed(b'{"n":1}'), device.sealed(b'{"n":1}')
    assert first[:86] != second[:86] and first[86:] != second[86:]
    assert one.read(first) == one.read(second) == {"n": 1}
    with pytest.raises(http_ece.ECEException):
        other.read(first)


@pytest.mark.parametrize("secret", [b"\0" * 32, b"\xff" * 32, bytes(range(32))])
def test_who_sends_is_verified_by_another_s_hand(secret: bytes) -> None:
    key = private_key(secret)
    header = authorization(key, urlsplit("https://push.example:8443/send/x"), NOW, "https://sayso.example")
    assert Vapid02.verify(header)
    token, _, shown = header.removeprefix("vapid t=").partition(",k=")
    assert shown == public_text(key) == public_text(private_key(secret))
    assert json.loads(raw(token.split(".")[1])) == {
        "aud": "https://push.example:8443",
        "exp": int(NOW.timestamp()) + 12 * 3_600,
        "sub": "https://sayso.example",
    }
    assert "sub" not in json.loads(raw(authorization(key, urlsplit("https://p/"), NOW, None).split(".")[1]))


GOOD = Phone("https://push.example", "good").wanted["keys"]
BAD = {
    "short": {"p256dh": "BCVx"},
    "not on the curve": {"p256dh": text(b"\x04" + b"\1" * 64)},
    "compressed": {
        "p256dh": text(b"\x02" + raw("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyP")[1:33])
    },
    "no Base64": {"p256dh": "\N{FERRY}"},
    "empty": {"p256dh": ""},
    "more than Base64": {"p256dh": GOOD["p256dh"] + "!"},  # type: ignore[index]
    "of the other alphabet": {"auth": "BTBZMqHH6r4Tts7J/aSIgg"},
    "auth is short": {"auth": text(b"x" * 15)},
    "auth is none": {"auth": ""},
}


@pytest.mark.parametrize("keys", BAD.values(), ids=BAD)
def test_what_is_no_key_of_a_device_is_refused(keys: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        Receiver(**(GOOD | keys))  # type: ignore[operator]
