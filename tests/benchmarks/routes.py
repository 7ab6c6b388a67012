"""What a look-up costs among one and among a thousand routes, alone and as a part of the whole decision.

    python -m tests.benchmarks.routes            half a minute
    python -m tests.benchmarks.routes --quick    a few seconds, to see that it works; its figures say nothing

A thousand requests take turns, however many routes there are, and each is for the next route: so that what grows is the
cost of the routes, and not that of the requests' own memory. Figures are the best of many short rounds, as in
:mod:`tests.benchmarks.decide`, and the numbers of routes take turns too.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle

from gateway.core.routes import RouteTable
from gateway.core.settings_model import RouteSettings
from gateway.core.verdict import How
from tests.benchmarks.decide import admitting, best_us, remember
from tests.benchmarks.world import World, with_bearer

REQUESTS = 1_000
Place = tuple[str, str]
Call = Callable[[], object]

KINDS: dict[str, Callable[[int], tuple[dict[str, object], Place]]] = {
    "prefixes of one host": lambda n: ({"path": f"/team{n}/items"}, ("app.bench.test", f"/team{n}/items/17")),
    "exact paths of one host": lambda n: ({"path": f"/team{n}/items", "exact": True}, ("a.test", f"/team{n}/items")),
    "hosts": lambda n: ({"host": f"team{n}.bench.test"}, (f"team{n}.bench.test", "/api/items/17")),
    "wildcards of hosts": lambda n: ({"host": f"*.team{n}.bench.test"}, (f"a.team{n}.bench.test", "/api/items/17")),
}
"""By kind of route, one of that kind, and a host and path that it takes."""


def looking_up(_world: World, kind: str, count: int) -> Call:
    """Return a call that looks up the next request's route."""
    made = [KINDS[kind](number) for number in range(count)]
    table = RouteTable.build([RouteSettings(**terms) for terms, _ in made])
    asked = [(host, path.encode()) for _, (host, path) in made]
    for route, (host, path) in zip(table.routes, asked, strict=True):
        assert table.match(host, path, "GET") is route
    places = cycle(asked * (REQUESTS // count))

    def look_up() -> object:
        host, path = next(places)
        return table.match(host, path, "GET")

    return look_up


def deciding(world: World, kind: str, count: int) -> Call:
    """Return a call that decides about the next request, all with one known Bearer token."""
    made = [KINDS[kind](number) for number in range(count)]
    engine = world.engine(routes=[terms | {"upstream": "http://127.0.0.1:9000"} for terms, _ in made])
    token = world.token(1)
    remember(engine, world, [token])
    return admitting(engine, _requests(token, [place for _, place in made]), How.CACHE)


def best_of_each_us(calls: Sequence[Call], turns: int) -> list[float]:
    """Return the microseconds of each; on a machine that does other things too, taking turns is fair to all."""
    best = [float("inf")] * len(calls)
    for _ in range(turns):
        best = [min(known, best_us(call, 3, 100)) for known, call in zip(best, calls, strict=True)]
    return best


def _requests(token: str, places: list[Place]) -> Iterator[dict[str, object]]:
    scopes = []
    for host, path in places * (REQUESTS // len(places)):
        scope = with_bearer(token)
        headers = [(b"host", host.encode()), *scope["headers"][1:]]
        scopes.append(scope | {"path": path, "raw_path": path.encode(), "headers": headers})
    return cycle(scopes)


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few seconds; the figures say nothing")
    quick = parser.parse_args().quick
    turns, sizes = (3, (1, 100)) if quick else (200, (1, 10, 100, 1_000))
    world = World.new()
    for title, calling in (("a look-up", looking_up), ("the whole decision", deciding)):
        print(f"| {title}, microseconds | {' | '.join(f'{count:,}' for count in sizes)} | growth |")
        print(f"| --- |{' ---: |' * (len(sizes) + 1)}")
        for kind in KINDS:
            costs_us = best_of_each_us([calling(world, kind, count) for count in sizes], turns)
            figures = " | ".join(f"{cost_us:.2f}" for cost_us in costs_us)
            print(f"| {kind} | {figures} | {costs_us[-1] / costs_us[0] - 1:+.0%} |")
        print()


if __name__ == "__main__":
    main()
