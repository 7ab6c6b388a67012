"""Session Gateway: an authenticating reverse proxy and ASGI middleware for Clerk-style session tokens."""

__version__ = "0.1.0"
