"""Every upstream of the routes: whose connections are shared, and when health checks begin and end."""

import ssl
from collections.abc import Callable, Sequence
from dataclasses import replace

from gateway.core.settings_model import RouteSettings, UpstreamSettings
from gateway.upstream.balanced import Balanced, Reach, Servers
from gateway.upstream.carrier import AnyPool, Carrier
from gateway.upstream.http2.pool import Http2Pool
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
        self._http2: dict[tuple[object, ...], Http2Pool] = {}

    def of(self, route: RouteSettings) -> tuple[Pool, Carrier | None]:
        """Return a route's connections in HTTP/1.1; the second is None where there is nothing else.

        Routes share the connections to a server where they reach and bound it alike.
        """
        servers = self._servers.get(route.upstream or "")
        if servers is None:
            return self._pool(route), self._http2_pool(route) if route.http == "2" else None
        routes = [replace(route, upstream=server.url) for server in servers.settings.servers]
        if not servers.reached_by:
            servers.reached_by = [self._reach(each) for each in routes]
        make: Callable[[RouteSettings], AnyPool] = self._http2_pool if route.http == "2" else self._pool
        return self._pool(routes[0]), Balanced(servers, list(map(make, routes)))

    def _reach(self, route: RouteSettings) -> Reach:
        origin = replace(Origin.parse(route.upstream or ""), name=route.tls_name or "", is_http2=route.http == "2")
        return origin, self._tls(route)

    def _pool(self, route: RouteSettings) -> Pool:
        which = _which(route)
        if which not in self._pools:
            origin, context = self._reach(replace(route, http="1.1"))
            self._pools[which] = Pool(origin, Limits.of(route), context)
        return self._pools[which]

    def _http2_pool(self, route: RouteSettings) -> Http2Pool:
        which = _which(route)
        if which not in self._http2:
            origin, context = self._reach(route)
            self._http2[which] = Http2Pool(origin, Limits.of(route), context, self._pool(route))
        return self._http2[which]

    def start(self) -> None:
        """Begin the health checks."""
        for servers in self._servers.values():
            servers.start()

    async def close(self) -> None:
        """End the health checks and close the connections."""
        for servers in self._servers.values():
            await servers.close()
        pools: list[AnyPool] = [*self._http2.values(), *self._pools.values()]
        for pool in pools:
            await pool.close()


def _which(route: RouteSettings) -> tuple[object, ...]:
    """Return what tells connections apart: where they lead, how they are bounded and who vouches for the other end."""
    tls = (route.tls_name, route.tls_ca_file, route.tls_certificate_file, route.tls_key_file)
    return (route.upstream, Limits.of(route), *tls)
