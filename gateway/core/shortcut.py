"""When a request's credentials alone decide, so that a decision made before is the decision now.

A Bearer token beats every cookie and every parameter, so a token that was verified is signed in until its time is over
(request-authentication section 6 A). Cookies do not: parameters in the URL may bring a session or a browser's identity
along, and a page that is opened may have to follow what happened elsewhere (sections 8 to 11). Everything else that a
decision about cookies reads is in the ``Cookie`` header itself, and in the time.
"""

from gateway.core.case import Rules
from gateway.core.cookies import HANDSHAKE, HANDSHAKE_NONCE
from gateway.core.handshake import is_eligible
from gateway.core.referrers import comes_from_elsewhere
from gateway.core.request import RequestFacts

_PARAMETERS = "__clerk"


def rests_on_cookies(facts: RequestFacts, rules: Rules) -> bool:
    """Return whether nothing but the ``Cookie`` header decides about this request.

    An escape in the query may hide one of the parameters; such requests take the long way.
    """
    query = facts.url.query
    if query and ("%" in query or _PARAMETERS in query):
        return False
    return not is_eligible(facts) or _follows_nothing(facts, rules)


def _follows_nothing(facts: RequestFacts, rules: Rules) -> bool:
    """Return whether a page that is opened has nothing elsewhere to follow."""
    if rules.organizations.personal or rules.organizations.organization:
        return False
    return rules.known_pages is None or not comes_from_elsewhere(facts, rules.known_pages)


def brings_handshake(facts: RequestFacts) -> bool:
    """Return whether the cookies hold what a handshake brought back, which counts on some requests only."""
    return HANDSHAKE in facts.cookies or HANDSHAKE_NONCE in facts.cookies
