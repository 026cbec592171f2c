"""Makes every crew of this process ask through an Asker, wherever it is kicked off, and undoes it again."""

from __future__ import annotations

import threading
from collections.abc import Callable

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


def prepare() -> None:
    """Lets tasks that begin from now on ask whoever is installed when their draft is ready, if anyone is."""
    _installed.hook()


class _Installed:
    """The askers of this process, the latest last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._askers: list[Asker] = []
        self._provider = SaysoProvider(self.latest)

    def latest(self) -> Asker | None:
        with self._lock:
            return self._askers[-1] if self._askers else None

    def add(self, asker: Asker) -> Callable[[], None]:
        with self._lock:
            self._askers.append(asker)
        self.hook()

        def remove() -> None:
            with self._lock:
                self._askers = [one for one in self._askers if one is not asker]
                if not self._askers:
                    unregister_hook(InterceptionPoint.PRE_STEP, self._before_step)

        return remove

    def hook(self) -> None:
        with self._lock:
            if self._before_step not in get_hooks(InterceptionPoint.PRE_STEP):  # clear_all_hooks() may have removed it
                register_hook(InterceptionPoint.PRE_STEP, self._before_step)

    def _before_step(self, context: StepContext) -> None:
        """Runs in the very thread and context in which the agent will work: a context variable set elsewhere is lost.

        crewAI puts its console provider into each context that only looked for one, so that one counts as none.
        """
        if context.kind == "task" and type(get_provider()) is SyncHumanInputProvider:
            set_provider(self._provider)


_installed = _Installed()
