"""The HTTP/1.1 server under the gateway: sockets in, requests out, on asyncio protocols and llhttp."""
