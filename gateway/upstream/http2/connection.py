"""One connection to an upstream that many exchanges share (RFC 9113).

A connection takes new requests until the upstream says that it wants no more, answers no ping, or has been used so
often that another one is due; those in hand go on.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    InformationalResponseReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import H2Error, StreamClosedError
from h2.settings import SettingCodes, Settings

from gateway.core.reasons import Reason
from gateway.core.request import Header
from gateway.errors import UpstreamError
from gateway.upstream.connection import ConnectionLostError
from gateway.upstream.http2.frames import Farewell, Frames, farewell
from gateway.upstream.http2.messages import Incoming, LengthHidingDecoder
from gateway.upstream.http2.stream import Stream, UnprocessedError
from gateway.upstream.incoming import broken
from gateway.upstream.origin import Limits

MOST_STREAMS = 100
"""Exchanges at once on one connection; the upstream may allow fewer."""

# An exchange that is ended early costs the upstream more than us, and some close a connection with many of them for an
# attack (CVE-2023-44487); another connection is taken before.
_MOST_RESETS = 100
_MOST_EXCHANGES = 10_000  # the library remembers the number of each; and they end at 2**31

_HEADER_ROOM = 4  # an answer beyond its bound is refused alone; beyond so many times that, the connection is ended
_MOST_OWED_BYTES = 65_536  # what an upstream makes us answer while it reads nothing
_TABLE_BYTES = 4_096  # of headers that both ends remember, which is the default
_DATA = 0  # type of a frame (RFC 9113 section 6.1)
_MOST_BARREN = 1_000  # frames between two looks at the time that bring nobody further


class Http2Connection(asyncio.Protocol):
    """An open connection.

    Args:
        limits: sizes of headers and of the window, and time-outs.
        forget: told when the connection ends.
        number: in the order in which they were opened.

    Attributes:
        number: as given.
        streams: the exchanges in hand.
        exchanges: begun so far.
        idle_since_s: loop time of the last exchange's end.
        is_closed: useless.
        opened: done when the upstream has shown that it speaks HTTP/2.
    """

    def __init__(self, limits: Limits, forget: Callable[["Http2Connection"], None], number: int) -> None:
        self._limits = limits
        self._forget = forget
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._frames = Frames()
        self._h2 = _connection(limits)
        self._is_leaving = self._is_write_paused = False
        self._last: int | None = None
        self._resets = self._barren = self._owed_bytes = 0
        self._heard_s = self._loop.time()
        self._asked_s: float | None = None
        self.number = number
        self.streams: dict[int, Stream] = {}
        self.exchanges = 0
        self.idle_since_s = self._heard_s
        self.is_closed = False
        self.opened: asyncio.Future[None] = self._loop.create_future()

    # ── asyncio.Protocol ──

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._transport = cast("asyncio.Transport", transport)
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        if tls is not None and tls.selected_alpn_protocol() != "h2":
            self.fail(broken("it does not speak HTTP/2: it chose another protocol (ALPN)"))
            return
        self._h2.initiate_connection()
        # Only what its streams may hold stops an upstream: slow clients must not keep the others waiting. Twice as
        # much, since up to a half is acknowledged late.
        self._h2.increment_flow_control_window(2 * MOST_STREAMS * self._limits.window_bytes)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Take frames."""
        self._heard_s, self._asked_s = self._loop.time(), None
        try:
            for frame in self._frames.feed(data):
                self._receive(frame)
            written = self._flush()
            self._owed_bytes += written if self._is_write_paused else 0
            if self._owed_bytes > _MOST_OWED_BYTES:
                raise broken("it wants answers to what it sends, and reads none")
        except H2Error as error:
            self.fail(broken(f"it does not keep to HTTP/2 ({type(error).__name__})"))
        except UpstreamError as error:
            self.fail(error)

    def _receive(self, frame: bytes) -> None:
        if frame[3] != _DATA:  # of which there is no more than windows allow
            self._barren += 1
        if self._barren > _MOST_BARREN:
            raise broken("it sends frames that bring nobody further")
        said = farewell(frame)
        if said is not None:
            self._leave(said)
            return
        for event in self._h2.receive_data(frame):
            self._take(event)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Break off what is in hand."""
        for stream in self.streams.values():
            # Where the upstream has said how far it came, nothing below that is sure to be undone.
            stream.close(ConnectionLostError(is_untouched=stream.incoming.is_untouched and self._last is None))
        self._close(broken("it ended the connection before it spoke HTTP/2"))

    def pause_writing(self) -> None:
        """The upstream reads more slowly than we send."""
        self._is_write_paused = True

    def resume_writing(self) -> None:
        """The upstream has caught up."""
        self._is_write_paused = False
        self._owed_bytes = 0
        self._wake_senders()

    # ── exchanges ──

    @property
    def allowed(self) -> int:
        """How many exchanges it takes at once."""
        return min(MOST_STREAMS, self._h2.remote_settings.max_concurrent_streams)

    def has_room(self) -> bool:
        """Return whether a new exchange may begin."""
        return len(self.streams) < self.allowed and not self._is_retired and not self._is_suspect

    @property
    def _is_retired(self) -> bool:
        is_worn = self._resets >= _MOST_RESETS or self.exchanges >= _MOST_EXCHANGES
        return self.is_closed or self._is_leaving or is_worn

    @property
    def _is_suspect(self) -> bool:
        return self._asked_s is not None and self._loop.time() - self._asked_s >= self._limits.ping_s

    def begin(self, headers: list[Header], *, is_head: bool, is_whole: bool) -> Stream:
        """Send a request's headers and wait for nothing.

        Args:
            headers: all of them.
            is_head: the answer will have no body.
            is_whole: the request has no body.
        """
        number = self._h2.get_next_available_stream_id()
        incoming = Incoming(is_head=is_head, header_bytes=self._limits.header_bytes)
        stream = Stream(self, number, incoming, self._limits, is_request_sent=is_whole)
        self._h2.send_headers(number, headers, end_stream=is_whole)
        if not self.streams:
            self._heard_s = self._loop.time()
        self.streams[number] = stream
        self.exchanges += 1
        self._flush()
        return stream

    def finish(self, stream: Stream) -> None:
        """End an exchange."""
        stream.finish()
        self.streams.pop(stream.number, None)
        self.idle_since_s = self._loop.time()
        if not self.streams and (self._is_retired or self._is_suspect):
            self.close()

    def write(self, number: int, data: memoryview) -> int:
        """Send as much of a body as the upstream has room for."""
        if self._is_write_paused or self.is_closed:
            return 0
        room = min(self._h2.local_flow_control_window(number), self._h2.max_outbound_frame_size, len(data))
        if room <= 0:
            return 0
        self._h2.send_data(number, bytes(data[:room]))
        self._barren = 0
        self._flush()
        return room

    def end(self, number: int) -> None:
        """Say that a request is whole."""
        self._h2.end_stream(number)
        self._flush()

    def reset(self, number: int) -> None:
        """Say that an exchange is of no interest any more."""
        self._resets += 1
        if self.is_closed:
            return
        with suppress(StreamClosedError):  # it ended with the very frame that is at fault
            self._h2.reset_stream(number, ErrorCodes.CANCEL)
            self._flush()

    def acknowledge(self, number: int, size: int) -> None:
        """Let the upstream send so many bytes more."""
        if size and not self.is_closed:
            self._h2.acknowledge_received_data(size, number)
            self._flush()

    # ── what the upstream says ──

    def _take(self, event: Event) -> None:
        if isinstance(event, RemoteSettingsChanged):
            self._set_up()
        elif isinstance(event, WindowUpdated):
            if not event.stream_id:
                self._wake_senders()
            elif stream := self.streams.get(event.stream_id):
                stream.resume()
        else:
            self._take_of_stream(event)

    def _set_up(self) -> None:
        # It may allow more; but then what every request said would be remembered here (RFC 7541 section 4.2).
        self._h2.encoder.header_table_size = min(self._h2.encoder.header_table_size, _TABLE_BYTES)
        if not self.opened.done():
            self.opened.set_result(None)
        self._wake_senders()

    def _take_of_stream(self, event: Event) -> None:
        number = getattr(event, "stream_id", None)
        stream = self.streams.get(number or 0)
        size = event.flow_controlled_length or 0 if isinstance(event, DataReceived) else 0
        if stream is None or stream.is_closed:
            self.acknowledge(number or 0, size)
            return
        try:
            self._feed(stream, event)
        except UpstreamError as error:
            stream.fail(error)
        if isinstance(event, DataReceived):
            self.acknowledge(stream.number, size - len(event.data or b""))

    def _feed(self, stream: Stream, event: Event) -> None:
        incoming = stream.incoming
        if isinstance(event, ResponseReceived | InformationalResponseReceived):
            incoming.begin(event.headers)
        elif isinstance(event, DataReceived):
            self._barren += not event.data
            incoming.data(event.data or b"")
        elif isinstance(event, StreamEnded):
            incoming.end()
        elif isinstance(event, StreamReset):
            stream.close(_reset(event))
        # Only progress wakes: an upstream that drips interim answers, or frames with nothing, runs into the time-out.
        if incoming.is_ready or isinstance(event, ResponseReceived):
            self._barren = 0
            stream.heard()

    def _leave(self, said: Farewell) -> None:
        """Begin no more exchanges, and give up those that the upstream will do nothing for."""
        self._is_leaving = True
        self._last = said.last
        for number, stream in self.streams.items():
            if number > said.last:
                stream.close(UnprocessedError())
        if not self.streams:
            self.close()

    def _wake_senders(self) -> None:
        for stream in self.streams.values():
            stream.resume()

    # ── its end ──

    def check(self, now_s: float) -> None:
        """Look at the time: of each exchange, and of the upstream's silence.

        Args:
            now_s: loop time.
        """
        self._barren = 0
        for stream in tuple(self.streams.values()):
            stream.check(now_s)
        if self.streams and self._asked_s is None and now_s - self._heard_s >= self._limits.ping_s:
            self._asked_s = now_s
            self._h2.ping(b"gateway?")
            self._flush()

    def close(self) -> None:
        """Say goodbye and close; nothing is in hand."""
        if not self.is_closed and self._transport is not None:
            self._h2.close_connection()
            self._flush()
            self._transport.close()
        self._close(broken("the connection was closed"))

    def fail(self, error: UpstreamError) -> None:
        """Close at once, with this error for whoever waits."""
        self._flush()
        for stream in self.streams.values():
            stream.close(error)
        self._close(error)
        if self._transport is not None:
            self._transport.abort()

    def _close(self, error: UpstreamError) -> None:
        self.is_closed = True
        if not self.opened.done():
            self.opened.set_exception(error)
            self.opened.exception()  # nobody may be waiting any more
        self._forget(self)

    def _flush(self) -> int:
        """Write what the library has to say, and return how much that was."""
        data = self._h2.data_to_send()
        if data and self._transport is not None and not self.is_closed:
            self._transport.write(data)
        return len(data)


def _connection(limits: Limits) -> H2Connection:
    # What the library would end the connection for is judged for each answer (gateway.upstream.http2.messages).
    config = H2Configuration(
        client_side=True,
        header_encoding=None,
        validate_inbound_headers=False,
        normalize_inbound_headers=False,
        validate_outbound_headers=False,
    )
    connection = H2Connection(config)
    values = {
        SettingCodes.ENABLE_PUSH: 0,
        SettingCodes.INITIAL_WINDOW_SIZE: limits.window_bytes,
        SettingCodes.MAX_HEADER_LIST_SIZE: limits.header_bytes,
    }
    connection.local_settings = Settings(client=True, initial_values=values)
    connection.decoder = LengthHidingDecoder()
    connection.decoder.max_header_list_size = _HEADER_ROOM * limits.header_bytes
    return connection


def _reset(event: StreamReset) -> Exception:
    if event.error_code == ErrorCodes.REFUSED_STREAM:
        return UnprocessedError()
    code = event.error_code
    name = code.name if isinstance(code, ErrorCodes) else str(code)
    return UpstreamError(Reason.UPSTREAM_TRUNCATED, f"it broke the exchange off ({name})")
