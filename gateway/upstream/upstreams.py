"""Every upstream of the routes: whose connections are shared, and when health checks begin and end."""

import ssl
from collections.abc import Callable, Sequence
from dataclasses import replace

from gateway.core.settings_model import RouteSettings, UpstreamSettings
from gateway.upstream.balanced import Balanced, Reach, Servers
from gateway.upstream.origin import Limits, Origin
from gateway.upstream.pool import Pool


class Upstreams:
    """Makes the pools.

    Args:
        named: those of several servers.
        time_s: any clock that does not jump.
        tls: makes the context for TLS that a route asks for; None for plain text.
    """

    def __init__(
        self,
        named: Sequence[UpstreamSettings],
        time_s: Callable[[], float],
        tls: Callable[[RouteSettings], ssl.SSLContext | None],
    ) -> None:
        self._tls = tls
        self._servers = {upstream.name: Servers(upstream, time_s) for upstream in named}
        self._pools: dict[tuple[object, ...], Pool] = {}

    def of(self, route: RouteSettings) -> tuple[Pool, Balanced | None]:
        """Return a route's connections; the second is None where there is one server and nothing to choose.

        Routes share the connections to a server where they reach and bound it alike.
        """
        servers = self._servers.get(route.upstream or "")
        if servers is None:
            return self._pool(route), None
        routes = [replace(route, upstream=server.url) for server in servers.settings.servers]
        if not servers.reached_by:
            servers.reached_by = [self._reach(each) for each in routes]
        pools = [self._pool(each) for each in routes]
        return pools[0], Balanced(servers, pools)

    def _reach(self, route: RouteSettings) -> Reach:
        return replace(Origin.parse(route.upstream or ""), name=route.tls_name or ""), self._tls(route)

    def _pool(self, route: RouteSettings) -> Pool:
        tls = (route.tls_name, route.tls_ca_file, route.tls_certificate_file, route.tls_key_file)
        which = (route.upstream, Limits.of(route), *tls)
        if which not in self._pools:
            origin, context = self._reach(route)
            self._pools[which] = Pool(origin, Limits.of(route), context)
        return self._pools[which]

    def start(self) -> None:
        """Begin the health checks."""
        for servers in self._servers.values():
            servers.start()

    async def close(self) -> None:
        """End the health checks and close the connections."""
        for servers in self._servers.values():
            await servers.close()
        for pool in self._pools.values():
            await pool.close()
