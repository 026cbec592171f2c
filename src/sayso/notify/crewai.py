"""The webhooks of crewAI's commercial platform, in its own shapes, so that a receiver written for it works unchanged.

Flows: https://docs.crewai.com/en/enterprise/features/flow-hitl-management, with what receivers have seen besides (the
members stand side by side, and the whole secret is the key). Crews:
https://docs.crewai.com/en/learn/human-in-the-loop, which says what is in the body and not how it is called; the names
are those that receivers read.
"""

from __future__ import annotations

import hmac
import os
from base64 import b64encode
from datetime import timedelta
from typing import Any, Final

from msgspec import Struct

from sayso import limits
from sayso.answer_link import RESPOND
from sayso.errors import Misconfigured
from sayso.model import OWNER_RULE, Request, is_owner
from sayso.notify.pinned import Resolve, resolve
from sayso.notify.post import Target
from sayso.notify.sending import Surroundings
from sayso.wire import Event, encode

_LASTS: Final = timedelta(seconds=limits.LINK_MOST)
"""For so long after the delivery can a receiver answer: the platform's tokens have no end."""


class FlowSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the configuration says. `secret`: the name of an environment variable; `owner`: whose answers those are that
    come to the callback; `allow`: as a webhook has it."""

    url: str
    secret: str
    owner: str = "crewai-webhook"
    allow: tuple[str, ...] = ()


class CrewSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the configuration says. `token`, or `username` and `password`, of which the secrets are the names of
    environment variables; `allow`: as a webhook has it."""

    url: str
    token: str = ""
    username: str = ""
    password: str = ""
    allow: tuple[str, ...] = ()


class _Waiting:
    """What both have in common: an open question is told, once; how it ends, the platform tells nobody."""

    def __init__(self, to: Target, around: Surroundings) -> None:
        self._to = to
        self._around = around

    @property
    def target(self) -> str:
        return str(self._to)

    async def send(self, event: Event) -> None:
        if event.type == "human_input_completed":
            return
        request = await self._around.request(event.request_id)
        if request is None and event.request_id:
            return  # removed, so settled long ago
        if request is not None and (not request.is_open or request.kind == "approval"):
            return  # a receiver takes whatever comes for a question that waits, and knows of no tool calls
        members = _TRIAL | {"id": event.event_id} if request is None else await self._body(request)
        await self._post(encode(members))

    async def close(self) -> None:
        await self._to.close()

    async def _body(self, request: Request) -> dict[str, Any]:
        raise NotImplementedError

    async def _post(self, body: bytes) -> None:
        raise NotImplementedError


class FlowWebhook(_Waiting):
    """The Carrier of a flow's webhook: signed, with an address to answer at. Raises Misconfigured."""

    def __init__(self, settings: FlowSettings, around: Surroundings, *, resolve: Resolve = resolve) -> None:
        super().__init__(Target(settings.url, settings.allow, around.clock, resolve=resolve), around)
        self._secret = _secret("secret", settings.secret).encode()
        if not is_owner(settings.owner):
            raise Misconfigured(f"owner: {OWNER_RULE}")
        self._owner = settings.owner
        around.address("")

    async def _body(self, request: Request) -> dict[str, Any]:
        until = self._around.clock.now() + _LASTS
        token = await self._around.link(request.request_id, self._owner, until)
        respond = self._around.address(RESPOND.format(request_id=request.request_id))
        native, about = request.source.native, request.context_data or {}
        return {
            "event_type": "new_request",
            "id": request.request_id,
            "status": request.status,
            "flow_id": native.get("flow_id") or request.execution_id,
            "flow_class": native.get("flow_class"),
            "method_name": native.get("method_name") or about.get("task") or request.kind,
            "message": request.prompt,
            "output": request.context,
            "emit": [option.id for option in request.options],
            "default_outcome": _chosen(request.default),
            "state": {},  # a flow's state does not leave its process
            "metadata": request.metadata,
            "created_at": request.created_at,
            "callback_url": f"{respond}?token={token}",
            "response_token": token,
            "deployment_id": None,
            "deployment_name": about.get("flow") or about.get("crew") or "",
            "flow_execution_id": request.execution_id,
            "trace_batch_id": None,
            "organization_id": None,
            "assigned_to": None,
            "assigned_to_email": next(iter(request.assignees), None),
            "assigned_at": None,
            "escalated_at": None,
            "sla_target_minutes": None,
            "triggered_by_user_id": None,
            "routing": {"effective_responders": [], "enforce_routing_rules": False},
        }

    async def _post(self, body: bytes) -> None:
        at = str(int(self._around.clock.now().timestamp()))
        digest = hmac.digest(self._secret, f"{at}.".encode() + body, "sha256").hex()
        signed = {"X-CrewAI-Signature": f"sha256={digest}", "X-CrewAI-Timestamp": at}
        await self._to.post({"content-type": "application/json", **signed}, body)


class CrewWebhook(_Waiting):
    """The Carrier of a crew's `humanInputWebhook`; answers come to `POST /resume`. Raises Misconfigured."""

    def __init__(self, settings: CrewSettings, around: Surroundings, *, resolve: Resolve = resolve) -> None:
        super().__init__(Target(settings.url, settings.allow, around.clock, resolve=resolve), around)
        self._headers = {"content-type": "application/json", **_authorization(settings)}

    async def _body(self, request: Request) -> dict[str, Any]:
        about = request.context_data or {}
        return {
            "execution_id": request.execution_id,
            "kickoff_id": request.execution_id,
            "task_id": request.task_id,
            "task_name": about.get("task") or "",
            "crew_name": about.get("crew") or "",
            "agent": about.get("agent") or "",
            "message": request.prompt,
            "task_output": request.context,
        }

    async def _post(self, body: bytes) -> None:
        await self._to.post(self._headers, body)


_TRIAL: Final = {"event_type": "test"}


def _chosen(default: Any) -> str | None:
    """The outcome that stands when nobody answers, where it is one."""
    ids = default.get("option_ids") if isinstance(default, dict) else None
    return ids[0] if ids else None


def _authorization(settings: CrewSettings) -> dict[str, str]:
    if settings.token and settings.username:
        raise Misconfigured("token: is for the strategy bearer, username and password for basic; give one of them")
    if settings.token:
        return {"authorization": f"Bearer {_secret('token', settings.token)}"}
    if settings.username:
        pair = f"{settings.username}:{_secret('password', settings.password)}"
        return {"authorization": f"Basic {b64encode(pair.encode()).decode()}"}
    return {}


def _secret(setting: str, name: str) -> str:
    """What is in that environment variable; its value is never told."""
    value = os.environ.get(name, "").strip() if name else ""
    if not value:
        raise Misconfigured(f"{setting}: the environment variable {name} is not set; put the secret there")
    if not value.isascii() or not value.isprintable():
        raise Misconfigured(f"{setting}: the environment variable {name} holds what no header can carry")
    return value
