"""What a WebSocket client sends, frame by frame: whole messages come out. wsproto reads, while there is something."""

from __future__ import annotations

from collections.abc import Iterator

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage
from wsproto.utilities import LocalProtocolError

from sayso.errors import TooLarge

Said = str | bytes | Ping | CloseConnection


class Frames:
    """`most`: bytes of a message."""

    __slots__ = ("_connection", "_most", "_parts", "_size")

    def __init__(self, most: int) -> None:
        self._connection = Connection(ConnectionType.SERVER)
        self._most = most
        self._parts: list[str | bytes] = []
        self._size = 0

    def receive(self, data: bytes) -> Iterator[Said]:
        """Messages, pings, and the end: a close frame, or an error that wsproto has a code for. Raises TooLarge."""
        try:
            self._connection.receive_data(data)
        except LocalProtocolError:  # the client had closed
            return
        for event in self._connection.events():
            if isinstance(event, TextMessage | BytesMessage):
                self._take(event.data)
                if event.message_finished:
                    yield self._whole(event)
            elif isinstance(event, Ping | CloseConnection):
                yield event

    def response(self, said: Ping | CloseConnection) -> bytes:
        """What the client must hear of a ping or of its end."""
        if isinstance(said, CloseConnection) and self._connection.state is not ConnectionState.REMOTE_CLOSING:
            return self._connection.send(CloseConnection(code=said.code, reason=said.reason))
        return self._connection.send(said.response())

    @property
    def is_idle(self) -> bool:
        """Whether no frame has begun, were it with half a header, and no message of several frames."""
        return not is_amid_a_message(self._connection)

    def _take(self, part: str | bytes | bytearray) -> None:
        self._size += len(part.encode()) if isinstance(part, str) else len(part)
        if self._size > self._most:
            raise TooLarge(f"a message is at most {self._most} bytes")
        self._parts.append(part if isinstance(part, str) else bytes(part))

    def _whole(self, event: TextMessage | BytesMessage) -> str | bytes:
        parts, self._parts, self._size = self._parts, [], 0
        empty: str | bytes = "" if isinstance(event, TextMessage) else b""
        return empty.join(parts)  # type: ignore[arg-type]  # all parts of a message are of one kind


def is_amid_a_message(connection: Connection) -> bool:
    """What wsproto does not tell."""
    protocol = connection._proto
    frame = protocol._frame_decoder
    return frame.header is not None or len(frame.buffer) > 0 or protocol._message_decoder.opcode is not None
