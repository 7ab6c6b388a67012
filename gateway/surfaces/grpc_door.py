"""The port where Envoy asks by gRPC. The same service decides as over HTTP, for the same networks."""

import asyncio
import logging
from urllib.parse import unquote

import grpc
import grpc.aio

from gateway.core.header_names import MAX_HEAD_BYTES
from gateway.core.original import OriginalError
from gateway.core.reasons import Reason
from gateway.core.settings_model import Address
from gateway.ports import Journal
from gateway.surfaces.answers import set_cookie_headers
from gateway.surfaces.decide import DecisionService, denied
from gateway.surfaces.exchange import Watch
from gateway.surfaces.ext_authz import allowed, question, refused
from gateway.surfaces.gate import Admission

_log = logging.getLogger(__name__)

SERVICE = "envoy.service.auth.v3.Authorization"
_DRAIN_S = 5.0
_MOST_BYTES = 4 * MAX_HEAD_BYTES  # a question repeats some headers


class GrpcDoor:
    """Listens, asks the service and answers.

    Args:
        decisions: decides.
        listen: where.
        journal: the access log; None for none.
        max_requests: questions in hand at once; Envoy denies what is beyond.

    Attributes:
        port: that it listens on; 0 before :meth:`start`.
    """

    def __init__(self, decisions: DecisionService, listen: Address, journal: Journal | None, max_requests: int) -> None:
        self._decisions = decisions
        self._listen = listen
        self._journal = journal
        self._max_requests = max_requests
        self._server: grpc.aio.Server | None = None
        self._starting: asyncio.Task[None] | None = None
        self.port = 0

    def start(self) -> None:
        """Listen; every worker process does, on the same port.

        Raises:
            OSError: the address cannot be listened on.
        """
        options = [("grpc.max_receive_message_length", _MOST_BYTES), ("grpc.so_reuseport", 1)]
        server = grpc.aio.server(options=options, maximum_concurrent_rpcs=self._max_requests)
        method = grpc.unary_unary_rpc_method_handler(self._check)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"Check": method}),))
        try:
            self.port = server.add_insecure_port(str(self._listen))
        except RuntimeError as error:
            raise OSError(f"cannot listen on {self._listen} (decide.grpc_listen)") from error
        self._server = server
        self._starting = asyncio.create_task(server.start())
        _log.info("Envoy may ask by gRPC on %s", Address(self._listen.host, self.port))

    async def close(self) -> None:
        """Answer what was asked, and listen no more."""
        if self._server is not None and self._starting is not None:
            await self._starting
            await self._server.stop(_DRAIN_S)

    async def _check(self, message: bytes, context: grpc.aio.ServicerContext) -> bytes:
        watch = Watch(self._journal)
        try:
            admission = await self._admit(message, peer_of(context.peer()))
            response = self._response(admission)
        except Exception:
            _log.exception("deciding for Envoy failed")
            admission = denied(Reason.UNEXPECTED_ERROR)
            response = self._response(admission)
        watch.status = admission.answer.status if admission.answer is not None else 200
        watch.write({}, admission)
        return response

    async def _admit(self, message: bytes, asker: str) -> Admission:
        if not self._decisions.is_trusted(asker):
            return denied(Reason.DECISION_PEER_REFUSED)
        try:
            asked = question(message)
        except OriginalError as error:
            return denied(error.reason, error.detail)
        return await self._decisions.decide(asker, asked)

    def _response(self, admission: Admission) -> bytes:
        if admission.answer is None:
            return allowed(self._decisions.identity(admission), set_cookie_headers(admission.verdict.cookies))
        return refused(admission.answer)


def peer_of(text: str) -> str:
    """Return the address in what gRPC says of the other end (``ipv4:127.0.0.1:5``, ``ipv6:%5B::1%5D:5``)."""
    kind, _, rest = text.partition(":")
    return unquote(rest).rpartition(":")[0].strip("[]") if kind in {"ipv4", "ipv6"} else ""
