"""The page for what the gateway itself answers: 400, 401, 403, 404, 431, 502, 503, 504 and their neighbours.

The words come from the table of reasons; this page adds how far the request got, which follows from the status: only
502 and 504 say something about the service behind the gateway (RFC 9110, 15.6.3 and 15.6.5).
"""

from collections.abc import Sequence

from gateway.pages.links import is_link
from gateway.pages.rendering import render_page

_STOPPED = ("did not pass it on", "never saw it")
_PASSED = ("let it through", "gave no usable answer")
_WAY = {500: ("had a fault", "may not have seen it"), 502: _PASSED, 504: _PASSED}


def render(  # noqa: PLR0913 - named values of one page
    *,
    status: int,
    heading: str,
    text: str,
    reason: str,
    facts: Sequence[tuple[str, str]] = (),
    actions: Sequence[tuple[str, str]] = (),
    request_id: str = "",
) -> str:
    """The page as HTML text.

    Args:
        status: the HTTP status of the answer.
        heading: what happened, in plain words.
        text: what it means and what can be done; blank lines separate paragraphs.
        reason: the stable reason code, for the operator.
        facts: more lines of small print, label and value.
        actions: links, label and address (http(s) or a path; others are left out), the most useful first.
        request_id: names the request in the log, or empty.
    """
    gateway_did, service_did = way = _WAY.get(status, _STOPPED)
    small_print = [("Status", str(status)), ("Reason", reason), *facts]
    small_print += [("Request", request_id)] if request_id else []
    return render_page(
        "error.html",
        {
            "status": status,
            "heading": heading,
            "text": text,
            "facts": small_print,
            "actions": [(label, href) for label, href in actions if is_link(href)],
            "gateway_did": gateway_did,
            "service_did": service_did,
            "reached_service": way is _PASSED,
        },
    )
