"""The control API: a test in any language turns the clock and the faults of a running authority over HTTP.

Errors have the form of the other APIs. Who may ask is decided in :mod:`gateway.authority.control.programs_only`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from difflib import get_close_matches

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from gateway.authority.authority import Authority
from gateway.authority.control.clock import Clock, ClockReading
from gateway.authority.control.faults import Faults, PlacedRule
from gateway.authority.control.faulty_app import FaultyApp
from gateway.authority.control.programs_only import ProgramsOnly
from gateway.authority.control.rules import BadRule, Effect, Rule
from gateway.authority.errors import Problem, Refusal, answer
from gateway.authority.requests import read_json
from gateway.core.settings_model import Address

_WILDCARDS = frozenset("*?[")


class Control:
    """What turns an authority, beside it in one process.

    Args:
        authority: opened with the clock.
        clock: the one that is turned.
        listen: where the control API will be; an address of loopback.

    Attributes:
        app: the authority's application with the faults in front of it; serve this one, not the authority's own.
        api: the control API; serve it on that address and on no other.
        listen: that address.
        faults: the rules.
    """

    def __init__(self, authority: Authority, clock: Clock, listen: Address) -> None:
        self.listen = listen
        self.faults = Faults()
        self.app = FaultyApp(authority, self.faults)
        self._clock = clock
        self.api: ASGIApp = ProgramsOnly(self._routes(), str(listen))

    def _routes(self) -> Starlette:
        table: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
            ("GET", "/control", self._overview),
            ("GET", "/control/clock", self._show_clock),
            ("POST", "/control/clock", self._turn_clock),
            ("DELETE", "/control/clock", self._reset_clock),
            ("GET", "/control/faults", self._list_faults),
            ("POST", "/control/faults", self._add_fault),
            ("DELETE", "/control/faults", self._clear_faults),
            ("GET", "/control/faults/{id:int}", self._show_fault),
            ("DELETE", "/control/faults/{id:int}", self._remove_fault),
        ]
        app = Starlette(
            routes=[Route(path, endpoint, methods=[method]) for method, path, endpoint in table],
            exception_handlers={Refusal: _refused, HTTPException: _no_route},
        )
        app.router.redirect_slashes = False
        return app

    async def _overview(self, _request: Request) -> Response:
        return answer(
            {
                "clock": _clock_json(self._clock.read()),
                "faults": [_placed_json(placed) for placed in self.faults.rules()],
                "operations": list(self.app.operations),
                "effects": [effect.value for effect in Effect],
            }
        )

    async def _show_clock(self, _request: Request) -> Response:
        return answer(_clock_json(self._clock.read()))

    async def _turn_clock(self, request: Request) -> Response:
        before_s = self._clock()
        turns = _Turns.read(await read_json(request))
        try:
            reading = turns.apply(self._clock)
        except ValueError as error:
            raise Refusal(Problem.PARAM_INVALID, param=turns.name, expected=str(error)) from None
        return answer(_clock_json(reading, went_back_s=max(0.0, before_s - reading.now_s)))

    async def _reset_clock(self, _request: Request) -> Response:
        return answer(_clock_json(self._clock.reset()))

    async def _list_faults(self, _request: Request) -> Response:
        return answer({"faults": [_placed_json(placed) for placed in self.faults.rules()]})

    async def _add_fault(self, request: Request) -> Response:
        try:
            rule = Rule.read(await read_json(request))
        except BadRule as error:
            raise Refusal(Problem.PARAM_INVALID, param=error.field, expected=error.problem) from None
        self._require_operation(rule.operation)
        return answer(_placed_json(self.faults.add(rule)), 201)

    async def _clear_faults(self, _request: Request) -> Response:
        return answer({"removed": self.faults.clear()})

    async def _show_fault(self, request: Request) -> Response:
        placed = self.faults.rule(request.path_params["id"])
        if placed is None:
            raise Refusal(Problem.NO_SUCH_PATH)
        return answer(_placed_json(placed))

    async def _remove_fault(self, request: Request) -> Response:
        if not self.faults.remove(request.path_params["id"]):
            raise Refusal(Problem.NO_SUCH_PATH)
        return answer({"removed": 1})

    def _require_operation(self, name: str) -> None:
        """Refuse a rule that could never meet a request: a test that waits for it would prove nothing."""
        if name in self.app.operations or _WILDCARDS & set(name):
            return
        near = get_close_matches(name, self.app.operations, n=1)
        hint = f"did you mean {near[0]}?" if near else "GET /control lists them"
        raise Refusal(Problem.PARAM_INVALID, param="operation", expected=f"there is none of that name; {hint}")


class _Turns:
    """One request to turn the clock: set first, then advance, then freeze or release."""

    def __init__(self, set_s: float | None, advance_s: float, is_frozen: bool | None) -> None:
        self._set_s, self._advance_s, self._is_frozen = set_s, advance_s, is_frozen
        self.name = "advance_s" if advance_s else "set_s"

    @classmethod
    def read(cls, body: object) -> "_Turns":
        """Read the body.

        Raises:
            Refusal: naming the field.
        """
        table = body if isinstance(body, dict) else {}
        for name in table:
            if name not in ("set_s", "advance_s", "is_frozen"):
                raise Refusal(Problem.PARAM_UNKNOWN, param=name)
        if not table:
            raise Refusal(Problem.PARAM_MISSING, param="set_s, advance_s or is_frozen")
        frozen = table.get("is_frozen")
        if not isinstance(frozen, bool | None):
            raise Refusal(Problem.PARAM_INVALID, param="is_frozen", expected="must be true or false")
        return cls(_seconds(table, "set_s"), _seconds(table, "advance_s") or 0.0, frozen)

    def apply(self, clock: Clock) -> ClockReading:
        """Turn the clock.

        Raises:
            ValueError: it would leave the time that it can show; then it is as it was.
        """
        target_s = (clock() if self._set_s is None else self._set_s) + self._advance_s
        if self._is_frozen:
            return clock.freeze(target_s)
        reading = clock.advance(self._advance_s) if self._set_s is None else clock.set(target_s)
        return reading if self._is_frozen is None else clock.release()


def _seconds(table: dict[str, object], name: str) -> float | None:
    value = table.get(name)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise Refusal(Problem.PARAM_INVALID, param=name, expected="must be a number of seconds")
    try:
        return float(value)
    except OverflowError:
        raise Refusal(Problem.PARAM_INVALID, param=name, expected="must be a number of seconds") from None


def _clock_json(reading: ClockReading, **changes: float) -> dict[str, object]:
    now = datetime.fromtimestamp(reading.now_s, UTC).isoformat(timespec="milliseconds")
    return {**asdict(reading), "now": now.replace("+00:00", "Z"), **changes}


def _placed_json(placed: PlacedRule) -> dict[str, object]:
    return {"id": placed.id, "hits": placed.hits, "is_used_up": placed.is_used_up, **placed.rule.to_json()}


async def _refused(_request: Request, error: Exception) -> Response:
    if not isinstance(error, Refusal):
        raise error
    return error.to_response()


async def _no_route(_request: Request, error: Exception) -> Response:
    is_method = isinstance(error, HTTPException) and error.status_code == 405
    return Refusal(Problem.NO_SUCH_METHOD if is_method else Problem.NO_SUCH_PATH).to_response()
