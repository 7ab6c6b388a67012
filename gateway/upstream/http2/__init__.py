"""HTTP/2 to an upstream (RFC 9113): frames and streams are the library h2's, connections and time are ours."""
