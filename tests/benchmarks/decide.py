"""What a decision costs, beside what others need for the same token, in one run on one core.

    python -m tests.benchmarks.decide            about half a minute
    python -m tests.benchmarks.decide --quick    a few seconds, to see that it works; its figures say nothing

Every figure is the best of many short rounds: on a machine that does other things too, the best is what the code costs.
A decision is all of ``Gate.admit``: headers scanned, cookies or token read, host, path and route judged, the session
decided and its identity headers at hand. Compare ratios of one run, never figures of two.
"""

import argparse
import gc
import time
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from jwt.utils import base64url_decode

from gateway.assemble import Engine
from gateway.core.claims import session_claims
from gateway.core.tokens import parse
from gateway.core.verdict import How, State
from tests.benchmarks.world import APP, World, cookie_header, with_bearer, with_cookies

Scope = dict[str, object]


def best_us(call: Callable[[], object], rounds: int, calls: int) -> float:
    """Return the microseconds of one call, in the best round."""
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        best = min(best, (time.perf_counter() - start) / calls)
    return best * 1e6


def drive(coroutine: Any) -> Any:
    """Run a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("a decision about a known token waited for something")


def admitting(engine: Engine, scopes: Iterator[Scope], how: How) -> Callable[[], object]:
    """Return a call that decides about the next request, once it is seen that it is decided as meant."""
    admission = drive(engine.gate.admit(next(scopes)))
    assert (admission.verdict.state, admission.verdict.how, admission.answer) == (State.SIGNED_IN, how, None)
    assert dict(admission.identity)[b"x-session-status"] == b"signed-in"
    return lambda: drive(engine.gate.admit(next(scopes)))


def filled(world: World, count: int) -> tuple[Engine, list[str]]:
    """Return an engine that remembers so many tokens, and the tokens."""
    engine, tokens = world.engine(), [world.token(number, signed=False) for number in range(count)]
    remember(engine, world, tokens)
    return engine, tokens


def remember(engine: Engine, world: World, tokens: list[str]) -> None:
    """Let an engine remember tokens and cookies as after a first request with each."""
    verified = engine.gate.authenticator.verified
    for token in tokens:
        parsed = parse(token)
        verified.put(token, session_claims(parsed.payload, parsed.encoded), world.now_s)
        verified.put_cookies(cookie_header(token), token)


def unseen_us(world: World, count: int) -> float:
    """Return the microseconds of a decision about a token that nobody has seen, all of them different."""
    tokens = [world.token(number) for number in range(count)]
    best = float("inf")
    for _ in range(5):
        admit, scopes = world.engine().gate.admit, [with_bearer(token) for token in tokens]
        for each in range(0, count, 20):
            start = time.perf_counter()
            for scope in scopes[each : each + 20]:
                drive(admit(scope))
            best = min(best, (time.perf_counter() - start) / 20)
    return best * 1e6


def peers(world: World, rounds: int) -> list[tuple[str, float]]:
    """Return what others need for one token, signature and times."""
    token, public = world.token(1), world.private.public_key()
    options = {"verify_aud": False}
    head, _, tail = token.rpartition(".")
    message, signature, how = head.encode(), base64url_decode(tail), (padding.PKCS1v15(), hashes.SHA256())
    found = [
        ("OpenSSL, the signature alone", best_us(lambda: public.verify(signature, message, *how), rounds, 100)),
        (
            "PyJWT, a bare decode",
            best_us(lambda: jwt.decode(token, public, ["RS256"], options=options), rounds, 100),
        ),
    ]
    sdk = _official(world)
    if sdk is None:
        print("(the official Python SDK is not installed: pip install clerk-backend-api)")
    else:
        found.append(("official Python SDK, authenticate_request", best_us(sdk, rounds, 100)))
    return found


def _official(world: World) -> Callable[[], object] | None:
    try:
        import httpx
        from clerk_backend_api.security import authenticate_request
        from clerk_backend_api.security.types import AuthenticateRequestOptions
    except ImportError:
        return None
    request = httpx.Request("GET", APP, headers={"authorization": f"Bearer {world.token(1)}"})
    options = AuthenticateRequestOptions(jwt_key=world.pem, authorized_parties=[APP])
    assert authenticate_request(request, options).is_signed_in
    return lambda: authenticate_request(request, options)


def memory_bytes(world: World, count: int) -> float:
    """Return the bytes that one remembered token takes, with its cookie header's place."""
    engine, tokens = world.engine(), [world.token(number, signed=False) for number in range(count)]
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    remember(engine, world, tokens)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (after - before) / count


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few seconds; the figures say nothing")
    quick = parser.parse_args().quick
    rounds, sizes = (3, (1, 100)) if quick else (60, (1, 1_000, 10_000, 100_000))
    world = World.new()

    found = peers(world, rounds)
    bare_us = dict(found)["PyJWT, a bare decode"]
    found.append(("an unseen token, the whole decision", unseen_us(world, 40 if quick else 400)))
    for count in sizes:
        engine, tokens = filled(world, count)
        asked = tokens[:: max(1, count // 1000)]  # as many requests for each size, spread over all tokens
        bearers, cookies = (
            cycle([with_bearer(token) for token in asked]),
            cycle([with_cookies(token) for token in asked]),
        )
        found.append(
            (f"a known Bearer token, of {count:,}", best_us(admitting(engine, bearers, How.CACHE), 5 * rounds, 200))
        )
        found.append(
            (
                f"a browser's known cookies, of {count:,}",
                best_us(admitting(engine, cookies, How.CACHE), 5 * rounds, 200),
            )
        )
        del engine, tokens, bearers, cookies
        gc.collect()

    print(f"{'one core':48}{'microseconds':>14}{'x PyJWT':>10}")
    for name, cost_us in found:
        print(f"{name:48}{cost_us:14.2f}{cost_us / bare_us:10.2f}")
    print(f"{'memory of one remembered token':48}{memory_bytes(world, 200 if quick else 10_000):14.0f} bytes")


if __name__ == "__main__":
    main()
