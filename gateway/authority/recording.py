"""When an event is recorded: in the transaction of the change, and only where somebody wants it.

An instance without an endpoint keeps nothing: whoever adds one later is told of what happens from then on, as with the
real service, and a database that nobody listens to does not grow.
"""

from gateway.authority.models import SessionRecord
from gateway.authority.realm import Realm
from gateway.authority.user_wire import backend_user
from gateway.authority.webhooks.events import Cause, event_type_of, session_event


def record_session(realm: Realm, session: SessionRecord, cause: Cause | None) -> None:
    """Tell the endpoints that a session has begun or ended; the caller holds the transaction.

    Args:
        realm: the instance.
        session: as it is now.
        cause: the request that did it, or None.
    """
    event_type = event_type_of(session)
    if event_type is None:
        return
    receivers = realm.outbox.subscribers(event_type)
    if not receivers:
        return
    user, now_ms = realm.directory.user(session.user_id), realm.now_ms()
    shown = None
    if user is not None:
        signed_in_at_ms = realm.ledger.last_sign_in_ms(user.id)
        shown = backend_user(user, last_sign_in_at_ms=signed_in_at_ms, last_active_at_ms=session.last_active_at_ms)
    body = session_event(event_type, session, shown, instance_id=realm.instance_id, now_ms=now_ms, cause=cause)
    realm.outbox.record(event_type, session.id, body, receivers, now_ms)
