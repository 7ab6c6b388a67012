"""Which of several servers gets a request; knows no socket and no clock.

- **Choice.** Smooth weighted round robin, or the fewest connections for a server's weight.
- **Health checks.** A server that failed ``unhealthy`` checks in a row gets nothing until it passed ``healthy`` of
  them in a row.
- **Ejection.** A server whose requests failed ``failures`` times in a row gets none for ``first_s``, twice as long with
  each further time, at most ``longest_s``; never more than ``share`` of the servers, and never the last one.
- **Breaker.** When every server that passes its checks has failed so often, none gets a request until the first one's
  time is over.
- **Trial.** A server that comes back gets one request at a time, until one went well.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from gateway.core.settings_model import EjectionSettings, HealthSettings


@dataclass(slots=True, eq=False)
class Server:
    """What is known of one server.

    Attributes:
        number: its place among the servers.
        weight: how many requests it gets beside the others.
        is_well: it passes its checks, or there are none.
        failures: requests that failed in a row.
        out_until_s: it failed too often, and is left alone until then.
        is_ejected: the others do its work meanwhile.
        is_on_trial: one request finds out whether it is back.
        checks_in_a_row: that ended like the last one.
        was_good: how the last one ended.
        ejections: since the last request that went well.
        turn: the larger, the sooner.
    """

    number: int
    weight: int
    is_well: bool = True
    failures: int = 0
    out_until_s: float = 0.0
    is_ejected: bool = False
    is_on_trial: bool = False
    checks_in_a_row: int = 0
    was_good: bool = True
    ejections: int = 0
    turn: int = 0


class Balance:
    """Chooses, and remembers how it went.

    Args:
        weights: of the servers.
        by_connections: the fewest connections count, not whose turn it is.
        ejection: when a server is left alone.
        health: how many checks in a row count.
    """

    def __init__(
        self,
        weights: Sequence[int],
        ejection: EjectionSettings,
        health: HealthSettings | None = None,
        *,
        by_connections: bool = False,
    ) -> None:
        self.servers = tuple(Server(number, weight) for number, weight in enumerate(weights))
        self._by_connections = by_connections
        self._ejection = ejection
        self._health = health
        self._may_eject = min(len(weights) - 1, max(1, int(len(weights) * ejection.share)))

    def choose(self, now_s: float, loads: Sequence[int], tried: Collection[int] = ()) -> Server | None:
        """Return who gets the next request, or None where there is nobody.

        Args:
            now_s: any clock that does not jump.
            loads: how many connections each server has in use.
            tried: numbers of servers that this request could not reach.
        """
        usable = [server for server in self._usable(now_s) if server.number not in tried]
        if not usable:
            return None
        if self._by_connections:
            least = min((loads[server.number] + 1) / server.weight for server in usable)
            usable = [server for server in usable if (loads[server.number] + 1) / server.weight == least]
        chosen = _next_turn(usable)
        chosen.is_on_trial = self._is_failing(chosen)
        return chosen

    def _is_failing(self, server: Server) -> bool:
        return server.failures >= self._ejection.failures

    def _usable(self, now_s: float) -> Iterable[Server]:
        well = [server for server in self.servers if server.is_well]
        is_open = all(server.out_until_s > now_s for server in well)
        for server in well:
            if server.out_until_s > now_s:
                # Others may not do its work as well: so many are out already.
                if not is_open and not server.is_ejected:
                    yield server
            elif not server.is_on_trial:
                yield server

    def succeeded(self, server: Server) -> None:
        """A request went well: all is forgiven."""
        if server.failures:
            server.failures = server.ejections = 0
            server.out_until_s = 0.0
            server.is_ejected = False
        server.is_on_trial = False

    def left(self, server: Server) -> None:
        """A request ended without telling anything, since its client went away or was at fault."""
        server.is_on_trial = False

    def failed(self, server: Server, now_s: float) -> bool:
        """A request failed; return whether the server is left alone from now on."""
        server.failures += 1
        server.is_on_trial = False
        if not self._is_failing(server) or server.out_until_s > now_s:
            return False
        pause_s = min(self._ejection.first_s * 2.0 ** min(server.ejections, 30), self._ejection.longest_s)
        server.ejections += 1
        server.out_until_s = now_s + pause_s
        others_out = sum(
            other.is_ejected and other.out_until_s > now_s for other in self.servers if other is not server
        )
        server.is_ejected = others_out < self._may_eject
        return True

    def checked(self, server: Server, *, is_good: bool) -> bool:
        """A health check ended; return whether that changed what is thought of the server."""
        health = self._health or HealthSettings()
        server.checks_in_a_row = server.checks_in_a_row + 1 if is_good is server.was_good else 1
        server.was_good = is_good
        needed = health.healthy if is_good else health.unhealthy
        if is_good is server.is_well or server.checks_in_a_row < needed:
            return False
        server.is_well = is_good
        self.succeeded(server)  # what was before tells nothing of how it is now
        return True

    def retry_after_s(self, now_s: float) -> float:
        """Return in how many seconds a server may be usable again, where none is."""
        waits = [server.out_until_s - now_s for server in self.servers if server.is_well and server.out_until_s > now_s]
        if self._health is not None and not all(server.is_well for server in self.servers):
            waits.append(self._health.interval_s)
        return min(waits, default=1.0)

    def why_none(self, now_s: float) -> str:
        """Return why no server is usable, for the log."""
        sick = sum(not server.is_well for server in self.servers)
        out = sum(server.is_well and server.out_until_s > now_s for server in self.servers)
        return f"of {len(self.servers)} servers {sick} fail their health checks and {out} failed too many requests"


def _next_turn(servers: Sequence[Server]) -> Server:
    """Smooth weighted round robin: nobody gets their share in one lump."""
    if len(servers) == 1:
        return servers[0]
    for server in servers:
        server.turn += server.weight
    chosen = max(servers, key=lambda server: server.turn)
    chosen.turn -= sum(server.weight for server in servers)
    return chosen
