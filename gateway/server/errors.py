"""What goes wrong between an application and its client."""


class ClientGoneError(OSError):
    """The client went away (ASGI, "send" after a disconnect)."""
