"""The kinds of notifiers there are: a new one is a line here, and a row in tests/notify/test_kinds.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from msgspec import Struct

from sayso.notify import channel, crewai, webhook
from sayso.notify.sending import Carrier, Surroundings


class Kind(NamedTuple):
    """`settings`: what the configuration may say of one; `make` gives its carrier, or raises Misconfigured."""

    settings: type[Struct]
    make: Callable[[Any, Surroundings], Carrier]


KINDS: Final[Mapping[str, Kind]] = {
    "webhook": Kind(webhook.Settings, webhook.Webhook),
    "channel": Kind(channel.Settings, channel.Channel),
    "crewai-flow": Kind(crewai.FlowSettings, crewai.FlowWebhook),
    "crewai-crew": Kind(crewai.CrewSettings, crewai.CrewWebhook),
}
