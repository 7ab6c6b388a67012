"""Walks through a decision and fetches what it asks for; holds no policy."""

import time
from collections.abc import Sequence
from typing import Final

from gateway.authenticator.explaining import ToldApi, ToldKeys
from gateway.authenticator.machines import Machines
from gateway.authenticator.nonces import Nonces
from gateway.authenticator.refreshing import DEFAULTS, Refreshing
from gateway.authenticator.verified import VerifiedTokens
from gateway.core.case import Rules
from gateway.core.decision import decide
from gateway.core.reasons import Reason, RefreshFailure
from gateway.core.request import RequestFacts
from gateway.core.settings_model import RefreshSettings
from gateway.core.shortcut import brings_handshake, rests_on_cookies
from gateway.core.token_class import SESSION_ONLY, Accepts, TokenType
from gateway.core.trace import NO_TRACE, Trace
from gateway.core.verdict import (
    Answer,
    How,
    Need,
    NeedKey,
    NeedMachine,
    NeedPayload,
    NeedRefresh,
    State,
    Verdict,
)
from gateway.errors import MachinesUnavailable, Unavailable
from gateway.ports import Clock, KeySource, SessionsApi

_SESSION_TOKEN: Final = TokenType.SESSION_TOKEN  # looked up for each request, and members of an enum are slow to name


class Authenticator:
    """Decides about requests of one instance.

    Args:
        rules: the instance's rules.
        keys: where verification keys come from.
        verified: the cache of verified tokens.
        api: the Sessions API; None when there is no secret key.
        refresh: what a refresh may cost.
        machines: knows opaque machine tokens; None where no route takes any.
        clock: Unix seconds.
        timer: seconds; only differences count.
        trace: takes notes of how requests are decided.
    """

    def __init__(  # noqa: PLR0913 - the parts of the engine, one each
        self,
        rules: Rules,
        keys: KeySource,
        verified: VerifiedTokens,
        api: SessionsApi | None = None,
        *,
        refresh: RefreshSettings = DEFAULTS,
        machines: Machines | None = None,
        clock: Clock = time.time,
        timer: Clock = time.monotonic,
        trace: Trace = NO_TRACE,
    ) -> None:
        self.rules = rules
        self.keys = keys
        self.verified = verified
        self._not_verified = verified.without_tokens()
        self._api = api
        self._refreshing = Refreshing(api, refresh, timer, on_session_end=self.end_session) if api is not None else None
        self._refresh = refresh
        self._machines = machines
        self._nonces = Nonces(api, timer) if api is not None else None
        self._clock = clock
        self._trace = trace

    def explaining(self, trace: Trace, *, live: bool = False) -> "Authenticator":
        """Return an authenticator that decides alike and says how: it remembers no token, so every check is made.

        Args:
            trace: takes the notes.
            live: the Sessions API is asked where it has to be; otherwise nothing is spent, and what would have been
                asked is noted. Keys are loaded in either case.
        """
        return Authenticator(
            self.rules,
            ToldKeys(self.keys, trace),
            self.verified.without_tokens(),
            ToldApi(self._api, trace, live=live) if self._api is not None else None,
            refresh=self._refresh,
            machines=self._machines,
            clock=self._clock,
            trace=trace,
        )

    def recall(
        self, facts: RequestFacts, cookies: Sequence[bytes] = (), accepts: Accepts = SESSION_ONLY
    ) -> Verdict | None:
        """Return the verdict on credentials of a session that were decided before, or None; never waits.

        Args:
            facts: the request.
            cookies: its ``Cookie`` headers.
            accepts: the types of tokens that count here; what is recalled is a session, which not every route takes.
        """
        if _SESSION_TOKEN not in accepts:
            return None
        known = None
        if facts.bearer is not None:
            known = self.verified.recall(facts.bearer, self._clock())
        elif len(cookies) == 1 and rests_on_cookies(facts, self.rules):
            known = self.verified.recall_cookies(cookies[0], self._clock())
        if self.rules.proxy_path and known is not None and known.claims is not None:
            # What a proxy under one origin's path issued counts on that origin.
            return known if known.claims.issuer in self.rules.issuers(facts.url.origin) else None
        return known

    def decide_at_once(
        self, facts: RequestFacts, cookies: Sequence[bytes] = (), accepts: Accepts = SESSION_ONLY
    ) -> Verdict | None:
        """Return the verdict if nothing has to be fetched for it, or None; never waits.

        Args:
            facts, cookies, accepts: as of :meth:`authenticate`.
        """
        known = self.recall(facts, cookies, accepts)
        if known is not None:
            return known
        now_s = self._clock()
        # A token in the header has just been looked up.
        verified = self.verified if facts.bearer is None else self._not_verified
        steps = decide(facts, self.rules, verified, now_s, accepts, self._trace)
        answer: Answer = None
        while True:
            try:
                need = steps.send(answer)
            except StopIteration as end:
                return self._remember(end.value, facts, cookies, now_s)
            answer = self.keys.cached(need.kid) if isinstance(need, NeedKey) else None
            if answer is None:
                steps.close()
                return None

    async def authenticate(
        self, facts: RequestFacts, cookies: Sequence[bytes] = (), accepts: Accepts = SESSION_ONLY
    ) -> Verdict:
        """Return the verdict on a request; never raises for anything that a client can send.

        Args:
            facts: the request.
            cookies: its ``Cookie`` headers, to be recalled by the next request that sends the same.
            accepts: the types of tokens that count here.
        """
        now_s = self._clock()
        steps = decide(facts, self.rules, self.verified, now_s, accepts, self._trace)
        answer: Answer = None
        while True:
            try:
                need = steps.send(answer)
            except StopIteration as end:
                return self._remember(end.value, facts, cookies, now_s)
            try:
                answer = await self._answer(need, facts)
            except Unavailable as error:
                steps.close()
                return Verdict(State.UNKNOWN, error.reason, error.detail, retry_after_s=error.retry_after_s)

    async def _answer(self, need: Need, facts: RequestFacts) -> Answer:
        match need:
            case NeedKey(kid):
                return self.keys.cached(kid) or await self.keys.find(kid)
            case NeedRefresh():
                return await self._refreshing.answer(need) if self._refreshing else RefreshFailure.NOT_CONFIGURED
            case NeedPayload(nonce):
                return await self._nonces.answer(nonce.reveal(), facts.client) if self._nonces else None
            case NeedMachine():
                if self._machines is None:
                    raise MachinesUnavailable(Reason.SECRET_KEY_INVALID, "there is no key to ask the API with")
                return await self._machines.answer(need, facts.client)

    def end_session(self, session_id: str) -> None:
        """Let the tokens of a session that has ended count no more."""
        self.verified.end_session(session_id, self._clock())

    def _remember(self, verdict: Verdict, facts: RequestFacts, cookies: Sequence[bytes], now_s: float) -> Verdict:
        if verdict.claims is None:
            return verdict
        token = verdict.token.reveal()
        if verdict.how is not How.CACHE:
            identity = self.verified.put(token, verdict.claims, now_s, self.keys.fresh_for_s())
            verdict = verdict.with_identity(identity)
        if self._is_for_next_time(verdict, facts, cookies):
            self.verified.put_cookies(cookies[0], token)
        return verdict

    def _is_for_next_time(self, verdict: Verdict, facts: RequestFacts, cookies: Sequence[bytes]) -> bool:
        """Return whether the next request with the same cookies gets the same verdict, where cookies decide."""
        if facts.bearer is not None or len(cookies) != 1 or verdict.how not in {How.CACHE, How.SIGNATURE}:
            return False  # a cookie was set, or the browser sent on
        return rests_on_cookies(facts, self.rules) and not brings_handshake(facts)

    async def close(self) -> None:
        """Finish running refreshes, and stop whatever else runs."""
        if self._refreshing is not None:
            await self._refreshing.close()
        if self._machines is not None:
            await self._machines.close()
        await self.keys.close()
