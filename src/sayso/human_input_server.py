"""HumanInputServer: the embedded server, as the seed proposal has it, listening on a port of its own."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self, TypeVar
from weakref import WeakMethod

from starlette.types import ASGIApp

from sayso import settings
from sayso.asker import Asked, failed, refused
from sayso.at_exit import at_exit
from sayso.compose import adapters_stand_by, default_store, install_adapters, push, store_at, tell
from sayso.errors import AlreadyStarted, Misconfigured, NotReady, ServerStopped, StoreFailed
from sayso.gateway import Gateway
from sayso.model import Question, Request
from sayso.mounted import Mounted
from sayso.notice import Notices, notice
from sayso.reach import announce, expect
from sayso.runtime import Runtime
from sayso.server.access import Access
from sayso.server.app import Application, build
from sayso.server.lane.lane import Lane
from sayso.server.listen import bind, is_loopback
from sayso.server.serve import serving
from sayso.server.tls import TLS

_Running = TypeVar("_Running", Runtime, Mounted)
_NOT_RUNNING = partial(NotReady, "the server has not been started, or has stopped")
logger = logging.getLogger(__name__)


class HumanInputServer:
    """Serves people's answers to the agents of this process, and to whoever asks over HTTP.

    host, port: where to listen; port 0 picks a free one, see `url`. The default host is this machine alone.
    api_key: what clients must send; without one (and without SAYSO_API_KEY) everyone on this machine may answer, and
        any host but a loopback one is refused.
    store: `:memory:`, `sqlite:///relative.db`, `sqlite:////absolute.db`; by default a file of this port's own in the
        user's data folder, and memory for port 0.
    retention: days for which an execution is kept after the last settlement in it, math.inf for ever; without it,
        SAYSO_RETENTION or 30.
    drain: seconds between SIGTERM and the end, in which all goes on but `/ready` says no; without it, SAYSO_DRAIN or 0.
    allow_origins: pages that may call this server from a browser, e.g. `https://app.example.com`.
    trusted_proxies: addresses and networks of the proxies before this server, whose word counts on who calls
        (X-Forwarded-For) and over what (X-Forwarded-Proto).
    tls_certificate, tls_key, tls_password_file: PEM files with which the server speaks TLS, and nothing else.
    notify: a TOML or JSON file that says who is told of what, by webhooks (docs/notify.md); without it, SAYSO_NOTIFY.
    public_url: where people reach this server, `https://sayso.example.com[/path]`, for links in what others are told;
        without it, SAYSO_PUBLIC_URL.
    quiet: without the line on stderr for each open question.
    adapters: whether the agent frameworks installed here ask through this server while it runs.

    Starting raises Misconfigured; its subclasses say what is wrong: PortTaken, StoreInUse, AlreadyStarted.
    """

    def __init__(
        self,
        host: str = "localhost",
        port: int = 8000,
        api_key: str | None = None,
        store: str | None = None,
        *,
        retention: float | None = None,
        drain: float | None = None,
        allow_origins: Iterable[str] = (),
        trusted_proxies: Iterable[str] = (),
        tls_certificate: str | Path | None = None,
        tls_key: str | Path | None = None,
        tls_password_file: str | Path | None = None,
        notify: str | Path | None = None,
        public_url: str | None = None,
        quiet: bool = False,
        adapters: bool = True,
    ) -> None:
        self.host = host
        self.port = port
        self._key = settings.api_key() if api_key is None else settings.checked_key(api_key, "api_key")
        self._key_shown = None if self._key is None else "<your key>" if api_key else "$SAYSO_API_KEY"
        self._store = store
        self._retention = (
            settings.retention() if retention is None else settings.checked_retention(retention, "retention")
        )
        self._drain = settings.drain() if drain is None else settings.checked_drain(drain, "drain")
        self._allow_origins = settings.checked_origins(allow_origins)
        self._proxies = settings.checked_proxies(trusted_proxies)
        self._tls = TLS.of(tls_certificate, tls_key, tls_password_file)
        self._notify = settings.notify() if notify is None else Path(notify).expanduser()
        self._public_url = (
            settings.public_url() if public_url is None else settings.checked_public_url(public_url, "public_url")
        )
        self._notices = None if quiet else Notices()
        self._adapters = adapters
        self._bound_port: int | None = None
        self._lock = threading.Lock()
        self._running: Runtime | Mounted | None = None
        self._uninstall: Callable[[], object] | None = None
        # Agents may be at work before `start`, in its thread, has had its turn.
        self._stand_down = adapters_stand_by(self) if adapters else lambda: None
        self._unexpect = expect(self)

    @property
    def url(self) -> str:
        """Where the server is reached from this machine; with port 0, once it listens."""
        host = {"0.0.0.0": "localhost", "::": "localhost"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return (
            f"http{'s' if self._tls else ''}://{f'[{host}]' if ':' in host else host}:{self._bound_port or self.port}"
        )

    def start(self, on_listening: Callable[[], None] = lambda: None) -> None:
        """Starts, calls `on_listening`, and returns when the server has stopped.

        On the main thread, SIGINT and SIGTERM stop it in order; SIGTERM after `drain` seconds, unless it comes again.
        """
        runtime = self._begin()
        try:
            with (
                _stopping_on_signals(runtime, self._drain),
                suppress(ServerStopped),
            ):  # before it was ready: that is an end too
                self._listen(runtime)
                on_listening()
                runtime.ended.result()
        finally:
            self._give_up(runtime)

    async def start_async(self) -> None:
        """Starts, and returns when the server has stopped; does not block this loop. Cancelling it stops the server."""
        runtime = self._begin()
        try:
            with suppress(ServerStopped):
                await asyncio.to_thread(self._listen, runtime)
            await asyncio.shield(asyncio.wrap_future(runtime.ended))
        finally:
            await asyncio.shield(asyncio.to_thread(self._give_up, runtime))

    def stop(self) -> None:
        """Stops in order: streams end, waiting agents get ServerStopped, the store closes. Idempotent; any thread."""
        with self._lock:
            running = self._running
            uninstall, self._uninstall = self._uninstall, None
        self._stand_down()
        self._unexpect()
        if uninstall is not None:
            uninstall()
        if running is None:
            return
        running.stop()  # by several callers at once: each returns when it is done
        with self._lock:
            if self._running is running:
                self._running, self._bound_port = None, None

    def __enter__(self) -> Self:
        self._listen(self._begin())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def submit(self, question: Question) -> Asked:
        """Asks through this server, which is an Asker; the futures raise NotReady while it does not run."""
        running = self._running
        if running is None:
            return refused(_NOT_RUNNING())
        return running.submit(question)

    def keep(self, execution_id: str, request_id: str, data: bytes) -> Future[None]:
        """Keeps what an agent needs to go on from a question; this server is a Keeper, too."""
        running = self._running
        return failed(_NOT_RUNNING()) if running is None else running.keep(execution_id, request_id, data)

    def kept(self, request_id: str) -> Future[bytes | None]:
        """What was kept under this id, or None."""
        running = self._running
        return failed(_NOT_RUNNING()) if running is None else running.kept(request_id)

    def withdraw(self, request_id: str) -> Future[Request]:
        """The request, cancelled, since nobody will take an answer to it; or as it was settled before."""
        running = self._running
        return failed(_NOT_RUNNING()) if running is None else running.withdraw(request_id)

    @property
    def is_running(self) -> bool:
        """Whether it has been started, and not stopped since; in a forked process, whether it can run there."""
        running = self._running
        return running is not None and running.is_here

    @property
    def is_on_host_loop(self) -> bool:
        """Whether answers come in over the loop of an application that this server is mounted in."""
        return isinstance(self._running, Mounted)

    def app(self) -> ASGIApp:
        """What `create_app` gives."""
        mounted = self._take_over(lambda: Mounted(lambda: self._runtime(has_console=False)))
        return self._built(mounted).asgi

    def _begin(self) -> Runtime:
        """Takes questions from here on; they wait for the store."""
        runtime = self._take_over(self._runtime)
        try:
            runtime.start()
        except BaseException:
            self.stop()
            raise
        return runtime

    def _runtime(self, *, has_console: bool = True) -> Runtime:
        store = store_at(self._store or default_store(self.port))
        gateway = Gateway(store, retention=self._retention)
        if self._notify is not None:
            tell(gateway, store, self._notify, self._public_url)
        push(gateway, store, api_key=self._key, public_url=self._public_url)
        return Runtime(gateway, self._tell, has_console=has_console, tls=self._tls is not None)

    def _built(self, access: Access) -> Application:
        return build(access, api_key=self._key, allow_origins=self._allow_origins, public_url=self._public_url)

    def _take_over(self, make: Callable[[], _Running]) -> _Running:
        """From here on, this process asks through what `make` gives."""
        with self._lock:
            if self._running is not None:
                raise AlreadyStarted("this HumanInputServer runs already; stop() it first, or make another one")
            self._running = running = make()
            try:
                uninstall = install_adapters(self) if self._adapters else lambda: None
            except BaseException:
                self._running = None
                running.stop()
                raise
            leave = announce(self)
            self._unexpect()
            self._uninstall = lambda: (leave(), uninstall())
        at_exit(WeakMethod(self.stop))
        return running

    def _listen(self, runtime: Runtime) -> None:
        with ExitStack() as on_failure:
            on_failure.callback(self._give_up, runtime)
            try:
                needs_admin = self._key is None and not is_loopback(self.host)
                tls = self._tls.context() if self._tls else None
                sockets = bind(self.host, self.port)
                for listener in sockets:
                    on_failure.callback(listener.close)
                served = self._built(runtime)

                @asynccontextmanager
                async def service(gateway: Gateway) -> AsyncIterator[None]:
                    if needs_admin:
                        if not await gateway.keys.has_admin():
                            runtime.fail(self._needs_key())  # raised here, it would come as one of a group of errors
                            yield
                            return
                        self._key_shown = "<your key>"
                    async with serving(
                        served.asgi,
                        sockets,
                        lambda: gateway.is_draining,
                        lane=lambda make: Lane(served, gateway, make, self._proxies),
                        tls=tls,
                        proxies=self._proxies,
                        refused=served.refusals.add,
                    ):
                        yield

                with self._lock:
                    if self._running is runtime:
                        self._bound_port = sockets[0].getsockname()[1]
                runtime.open(service)
            except (Misconfigured, StoreFailed) as exc:
                runtime.fail(exc)
                if threading.current_thread() is not threading.main_thread():
                    logger.error("the server did not start: %s", exc)  # what a thread raises, nobody may see
                raise
            on_failure.pop_all()

    def _give_up(self, runtime: Runtime) -> None:
        """Ends this run; the server may have been stopped, and started again, in the meantime."""
        if self._running is runtime:
            self.stop()
        else:
            runtime.stop()

    def _needs_key(self) -> Misconfigured:
        return Misconfigured(
            f"host {self.host!r} can be reached from other machines, so a key is needed: pass api_key=…, or set "
            "SAYSO_API_KEY; or let it listen on localhost and make a key for its store that can make others: "
            "sayso keys create NAME --scope admin"
        )

    def _tell(self, request: Request) -> None:
        if self._notices is not None:
            url = self.url if self._bound_port else None
            self._notices.show(notice(request, url, key=self._key_shown))


def create_app(server: HumanInputServer) -> ASGIApp:
    """The server as an ASGI app, to mount in another under any prefix: `api.mount("/sayso", create_app(server))`.

    Agents of this process ask through it from now on; the store is opened at the first question or call. It listens on
    no port of its own and needs no lifespan. `server.stop()` ends it; so does the end of the program. Run the host with
    one worker process (a SQLite file has one owner) and with a bound on its shutdown, since a host waits for open
    streams: `uvicorn --timeout-graceful-shutdown 5`.
    """
    return server.app()


@contextmanager
def _stopping_on_signals(runtime: Runtime, drain: float) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        runtime.request_stop(drain if number == signal.SIGTERM else 0.0)

    former = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
