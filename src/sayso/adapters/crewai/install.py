"""Puts sayso into every place where crewAI asks a person, in the whole process, and takes it out again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol
from weakref import WeakSet, ref

from crewai.core.providers.human_input import SyncHumanInputProvider, get_provider, set_provider
from crewai.hooks import InterceptionPoint, get_hooks, register_hook, unregister_hook
from crewai.hooks.contexts import StepContext

from sayso.adapters.crewai import chat, gates, installed, whereabouts
from sayso.adapters.crewai.flows import FlowProvider
from sayso.adapters.crewai.installed import Prepare
from sayso.adapters.crewai.provider import TaskProvider
from sayso.adapters.crewai.taking_up import finished
from sayso.asker import Asker
from sayso.reach import announce


def install(asker: Asker, prepare: Prepare | None = None) -> Callable[[], None]:
    """Every place where crewAI asks a person asks through `asker`, until the returned function is called.

    prepare: changes each question before it is asked: `fn(question, context) -> question`, where `context` is crewAI's
        own object (docs/crewai.md). What it raises ends the run: nothing is asked that was not prepared.

    The latest installed asker counts; undoing it restores the one before. Providers that you set yourself are left
    alone.
    """
    remove, leave = installed.add(asker, prepare), announce(asker)
    _places.put_or_take_out()

    def undo() -> None:
        remove()
        leave()
        _places.put_or_take_out()

    return undo


def stand_by(owner: object) -> Callable[[], None]:
    """Lets what begins from now on ask whoever is installed by the time it has a question, if anyone is.

    It holds until the returned function is called, or `owner` is no more.
    """
    return _places.stand_by(owner)


class _Place(Protocol):
    def put(self) -> None: ...

    def take_out(self) -> None: ...


class _Places:
    """Where crewAI asks; ours while someone is installed, or soon may be."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._owners: WeakSet[object] = WeakSet()
        self._task_provider = TaskProvider()
        self._others: tuple[_Place, ...] = (FlowProvider(), *gates.places, chat.place)
        self._hooks: dict[InterceptionPoint, Callable[[Any], None]] = {
            InterceptionPoint.PRE_STEP: self._before_step,
            InterceptionPoint.POST_STEP: self._after_step,
            InterceptionPoint.PRE_TOOL_CALL: whereabouts.call,
        }
        self._are_put = False

    def stand_by(self, owner: object) -> Callable[[], None]:
        known = ref(owner)

        def forget() -> None:
            with self._lock:
                self._owners.discard(known())
                self.put_or_take_out()

        with self._lock:
            self._owners.add(owner)
            self.put_or_take_out()
        return forget

    def put_or_take_out(self) -> None:
        with self._lock:
            needed = bool(self._owners) or installed.current() is not None
            for point, hook in self._hooks.items():
                hooked = hook in get_hooks(point)  # clear_all_hooks() may have removed it
                if needed and not hooked:
                    register_hook(point, hook)
                elif hooked and not needed:
                    unregister_hook(point, hook)
            if needed != self._are_put:
                for place in self._others:
                    place.put() if needed else place.take_out()
                self._are_put = needed

    def _before_step(self, context: StepContext) -> None:
        """Runs in the very thread and context in which the agent will work: a context variable set elsewhere is lost.

        crewAI puts its console provider into each context that only looked for one, so that one counts as none.
        """
        whereabouts.enter(context)
        if context.kind == "task" and type(get_provider()) is SyncHumanInputProvider:
            set_provider(self._task_provider)

    def _after_step(self, context: StepContext) -> None:
        finished(context)
        whereabouts.leave(context)


_places = _Places()
