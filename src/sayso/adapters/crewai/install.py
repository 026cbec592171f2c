"""Makes every crew of this process ask through an Asker, wherever it is kicked off, and undoes it again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from weakref import WeakSet, ref

from crewai.core.providers.human_input import SyncHumanInputProvider, get_provider, set_provider
from crewai.hooks import InterceptionPoint, get_hooks, register_hook, unregister_hook
from crewai.hooks.contexts import StepContext

from sayso.adapters.crewai.provider import SaysoProvider
from sayso.asker import Asker


def install(asker: Asker) -> Callable[[], None]:
    """Every `Task(human_input=True)` of this process asks through `asker`, until the returned function is called.

    The latest installed asker counts; undoing it restores the one before. A provider that you set yourself
    (`crewai.core.providers.human_input.set_provider`) is left alone.
    """
    return _installed.add(asker)


def stand_by(owner: object) -> Callable[[], None]:
    """Lets tasks that begin from now on ask whoever is installed when their draft is ready, if anyone is.

    It holds until the returned function is called, or `owner` is no more.
    """
    return _installed.stand_by(owner)


class _Installed:
    """The askers of this process, the latest last, and who may install one soon."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._askers: list[Asker] = []
        self._owners: WeakSet[object] = WeakSet()
        self._provider = SaysoProvider(self.latest)

    def latest(self) -> Asker | None:
        with self._lock:
            return self._askers[-1] if self._askers else None

    def add(self, asker: Asker) -> Callable[[], None]:
        def remove() -> None:
            with self._lock:
                self._askers = [one for one in self._askers if one is not asker]
                self._hook_if_needed()

        with self._lock:
            self._askers.append(asker)
            self._hook_if_needed()
        return remove

    def stand_by(self, owner: object) -> Callable[[], None]:
        known = ref(owner)

        def forget() -> None:
            with self._lock:
                self._owners.discard(known())
                self._hook_if_needed()

        with self._lock:
            self._owners.add(owner)
            self._hook_if_needed()
        return forget

    def _hook_if_needed(self) -> None:
        hooked = self._before_step in get_hooks(InterceptionPoint.PRE_STEP)  # clear_all_hooks() may have removed it
        needed = bool(self._askers or self._owners)
        if needed and not hooked:
            register_hook(InterceptionPoint.PRE_STEP, self._before_step)
        elif hooked and not needed:
            unregister_hook(InterceptionPoint.PRE_STEP, self._before_step)

    def _before_step(self, context: StepContext) -> None:
        """Runs in the very thread and context in which the agent will work: a context variable set elsewhere is lost.

        crewAI puts its console provider into each context that only looked for one, so that one counts as none.
        """
        if context.kind == "task" and type(get_provider()) is SyncHumanInputProvider:
            set_provider(self._provider)


_installed = _Installed()
