"""When a request's credentials alone decide, so that a decision made before is the decision now.

A Bearer token beats every cookie and every parameter, so a token that was verified is signed in until its time is over
(request-authentication section 6 A). Cookies do not: a page that is opened may have to follow what happened elsewhere
(sections 8 to 11), and parameters in the URL may bring a session or a browser's identity along. Everything else that a
decision about cookies reads is in the ``Cookie`` header itself, and in the time.
"""

from gateway.core.handshake import is_eligible
from gateway.core.request import RequestFacts

_PARAMETERS = "__clerk"


def rests_on_cookies(facts: RequestFacts) -> bool:
    """Return whether nothing but the ``Cookie`` header decides about this request.

    An escape in the query may hide one of the parameters; such requests take the long way.
    """
    query = facts.url.query
    return not (query and ("%" in query or _PARAMETERS in query)) and not is_eligible(facts)
