"""What becomes of a route's path on the way to the upstream.

A route's first segments are taken away (``strip_prefix``), and others put in their place (``replace_prefix``). Segments
are counted, not bytes: a reserved character of the prefix may come raw or escaped (:mod:`gateway.core.routes`). What is
left of a canonical path behind whole segments is canonical again, and never empty.

===================  ===========================  ==========================
``/api``, stripped   ``/api``, ``/api/``          ``/``
\\                    ``/api/x``, ``/api/x/``      ``/x``, ``/x/``
replaced by ``/v2``  ``/api``, ``/api/``          ``/v2``, ``/v2/``
\\                    ``/api/x``                   ``/v2/x``
``/``, by ``/v2``    ``/``, ``/x``                ``/v2/``, ``/v2/x``
===================  ===========================  ==========================
"""

from dataclasses import dataclass
from typing import Self

from gateway.core.settings_model import RouteSettings


@dataclass(frozen=True, slots=True)
class Rewriting:
    """How a route writes paths anew.

    Attributes:
        segments: how many are taken away.
        replacement: what is put in their place; empty for nothing.
        image: the shortest path of the route as the upstream sees it.
    """

    segments: int
    replacement: bytes
    image: str

    @classmethod
    def of(cls, route: RouteSettings) -> Self | None:
        """Return what a route does, or None where its paths stay as they are."""
        if route.strip_prefix is None and route.replace_prefix is None:
            return None
        # Without strip_prefix, what is replaced is the route's own path.
        gone = route.path if route.strip_prefix is None else route.strip_prefix
        replacement = "" if route.replace_prefix in {None, "/"} else str(route.replace_prefix)
        segments = 0 if gone == "/" else gone.count("/")
        made = cls(segments, replacement.encode(), "")
        return cls(segments, made.replacement, made.path(route.path.encode()).decode().rstrip("/") or "/")

    def path(self, path: bytes) -> bytes:
        """Return the path for the upstream.

        Args:
            path: canonical, and taken by the route.
        """
        return self.replacement + path[self._cut(path) :] or b"/"

    def prefix(self, path: bytes) -> bytes:
        """Return what was taken away, for ``X-Forwarded-Prefix``; empty for nothing."""
        return path[: self._cut(path)]

    def _cut(self, path: bytes) -> int:
        end = 0
        for _ in range(self.segments):
            end = path.find(b"/", end + 1)
            if end < 0:
                return len(path)
        return end
