"""WebSockets over transports (RFC 6455), the same for both ends: the client's and the upstream's."""
