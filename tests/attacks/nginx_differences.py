"""Where the gateway and nginx differ over the corpus, and why; ``test_corpus.py`` holds both ways."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """Rows that differ alike.

    Attributes:
        what: the gateway's result and nginx's; where both pass a row on, which parts of it differ.
        reason: why that is meant.
        rows: their names.
    """

    what: str
    reason: str
    rows: tuple[str, ...]


REQUEST_DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        "line",
        "What is matched is what is forwarded: one spelling of each path (gateway/core/target.py).",
        (
            "target: /@?",
            "target: /@%e2%82%ac",
            "target: /@%3b",
            "target: /%7E@",
            "target: /%61@",
            'target: /@"',
            "target: /@[1]",
            "target: /@{1}",
            "target: /@|",
            "target: /@^",
        ),
    ),
    Difference(
        "line",
        "Slashes are merged, so that no two programs see different segments, or a host.",
        (
            "target: //@",
            "target: /a//@",
            "target: ///evil.example/@",
            "target: //a:b\\xa4c/@",
        ),
    ),
    Difference(
        "refused 400 / passed 200",
        "Programs are known to read such a path differently, so it is refused (gateway/core/target.py); "
        "nginx without a path in proxy_pass hands it on as it came.",
        (
            "target: /a/../@",
            "target: /a/./@",
            "target: /./@",
            "target: /@/..",
            "target: /@/.",
            "target: /a/%2e/@",
            "target: /a/.%2e/@",
            "target: /a%2f..%2f@",
            "target: /a%2f@",
            "target: /a%5c@",
            "target: /a\\\\@",
            "target: /a\\\\..\\\\@",
            "target: /@%0a",
            "target: /@%0d%0aX:1",
            "target: /@%7f",
            "target: /@%09",
            "target: /@%252e",
            "target: /@%c0%ae",
            "target: /@%ff",
            "target: /@\\xc3\\xa9",
            "target: /@\\xff",
            "target: /@;x/..",
            "target: /..;/@",
        ),
    ),
    Difference(
        "refused 400 / passed 200",
        "The HTTP parser of the server takes no such raw character in a target; RFC 3986 has them escaped.",
        ("target: /@?\\x80",),
    ),
    Difference(
        "refused 400 / refused 414",
        "Both refuse; the gateway has one word for a target that it does not take.",
        ("target: /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...(9003 bytes)",),
    ),
    Difference(
        "passed 200 / refused 414",
        "nginx bounds the request line at 8 KiB by default; here paths are bounded at 8 KiB, and a query by "
        "the bound of the whole head.",
        ("target: /@?aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...(9003 bytes)",),
    ),
    Difference(
        "refused 400 / passed 200",
        "The server takes HTTP/1.0 and 1.1, spelled exactly.",
        (
            "version: HTTP/1.2",
            "version: HTTP/1.9",
            "version: HTTP/1.01",
            "version: HTTP/1.1 ",
        ),
    ),
    Difference(
        "refused 400 / refused 505",
        "Both refuse, with another word.",
        (
            "version: HTTP/2.0",
            "version: HTTP/3",
            "version: HTTP/11",
        ),
    ),
    Difference(
        "refused 400 / passed closed",
        "HTTP/0.9 is not spoken here.",
        (
            "version: ",
            "whole: GET /@\\r\\n\\r\\n",
        ),
    ),
    Difference(
        "refused 400 / passed 200",
        "A Host that is no host name, IP address or port is refused (RFC 9112 section 3.2); it would end up "
        "in links and cache keys.",
        (
            "host: Host: a:0",
            "host: Host: a:99999",
            "host: Host: a:",
            "host: Host: a:b",
            "host: Host: a,b",
            "host: Host: a?b",
            "host: Host: a#b",
            "host: Host: a@b",
            "host: Host: u:p@a",
            "host: Host: a\\\\b",
            "host: Host: a%41",
            "host: Host: \\xc3\\xa9",
            "host: Host: [::1",
            "host: Host: [::g]",
            "host: Host: [::1%25lo]",
            "host: Host: .a",
            "host: Host: *",
            "host: Host: <script>",
            "host: Host: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...(70 bytes)",
            "host: Host: a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a....(406 bytes)",
            "host: Host: a;b",
            "host: Host: a'",
            'host: Host: "a"',
            "host: Host: a!",
            "host: Host: a%0d%0a",
        ),
    ),
    Difference(
        "passed 200 / refused 400",
        "A tab beside a value is optional white space (RFC 9112 section 5); it is taken off.",
        ("host: Host: \\ta\\t",),
    ),
    Difference(
        "headers",
        "nginx drops names with other than letters, digits and hyphens; here they go on unless some program "
        "would read them as a name that only the gateway may write.",
        (
            "field: X_A: b",
            "field: X.A: b",
            "field: X!A: b",
            "field: _: b",
        ),
    ),
    Difference(
        "refused 400 / passed 200",
        "The parser refuses lines that are no header, and control characters in values (RFC 9110 section 5.5).",
        (
            "field: X-A",
            "field: X(A): b",
            "field: X/A: b",
            "field: X@A: b",
            "field: X\\xc3\\xa9: b",
            'field: X"A: b',
            "field: X-A: b\\x01c",
            "field: X-A: b\\x7fc",
            "field: X-A: b\\x0bc",
            "field: X-A: b\\x1b[31m",
        ),
    ),
    Difference(
        "passed 200 / refused 400",
        "nginx bounds a header line at 8 KiB by default; here the whole head is bounded at 128 KiB.",
        ("field: X-A: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb...(9005 bytes)",),
    ),
    Difference(
        "headers",
        "A Cookie header without cookies is left out.",
        ("field: Cookie:",),
    ),
    Difference(
        "headers",
        "Hop-by-hop headers, and what Connection names, end here (RFC 9110 section 7.6.1); nginx takes off "
        "Connection, Keep-Alive, TE, Upgrade alone.",
        (
            "hop: Proxy-Connection: keep-alive",
            "hop: Proxy-Authorization: Basic YTpi",
            "hop: Trailer: X-A",
            "hop: HTTP2-Settings: AAMAAABk",
            "hop: Proxy-Authenticate: Basic",
            "hop: Connection: X-A\\r\\nX-A: b",
            "hop: Connection: keep-alive, x-a\\r\\nX-A: b",
            "hop: Connection: Upgrade, HTTP2-Settings\\r\\nUpg...(71 bytes)",
        ),
    ),
    Difference(
        "headers",
        "A client may not say what only a proxy can know, or name an identity.",
        (
            "hop: Proxy: http://evil",
            "hop: X-Forwarded-Prefix: /p",
            "hop: X-Forwarded-User: root",
            "hop: Forwarded: for=1.2.3.4;host=evil",
            "hop: X-Real-IP: 1.2.3.4",
            "hop: X-Original-URL: /p",
            "hop: X-Rewrite-URL: /p",
            "hop: X-Session-User-Id: root",
            "hop: X-Clerk-Auth-Status: signed-in",
            "hop: X-Middleware-Subrequest: x",
        ),
    ),
    Difference(
        "passed 200 / passed 100 200",
        "The server asks for a body only when somebody wants to read one; this request has none.",
        ("hop: Expect: 100-continue",),
    ),
    Difference(
        "refused 417 / passed 200",
        "Nothing but 100-continue can be expected (RFC 9110 section 10.1.1).",
        (
            "hop: Expect: foo",
            "hop: Expect: 100-Continue, foo",
        ),
    ),
    Difference(
        "refused 400 / refused 501",
        "Both refuse, with another word.",
        (
            "framing: Transfer-Encoding: identity\\r\\n\\r\\n",
            "framing: Transfer-Encoding: gzip\\r\\n\\r\\n",
            "encoding: xchunked",
            "encoding: chunkedx",
            "encoding: chunked, identity",
            "encoding: identity, chunked",
            "encoding: gzip, chunked",
            "encoding: chunked, chunked",
            "encoding: chunked,",
            "encoding: ,chunked",
            "encoding: chunked;q=1",
            'encoding: "chunked"',
            "encoding: \\x0bchunked",
            "encoding: chunked\\x0b",
            "encoding: ",
            "encoding: cow",
            "pipeline: TE.TE",
        ),
    ),
    Difference(
        "passed 200 / refused 501",
        "A tab beside a value is optional white space (RFC 9112 section 5); it is taken off.",
        ("encoding: \\tchunked",),
    ),
    Difference(
        "refused 400 / passed 200",
        "Chunks that end in a bare line feed, trailers that are none and endless extensions are refused; "
        "nginx is lenient.",
        (
            "chunks: 2\\nab\\n0\\n\\n",
            "chunks: 2\\r\\nab\\n0\\r\\n\\r\\n",
            "chunks: 2\\r\\nab\\r\\n0\\r\\nbroken\\r\\n\\r\\n",
            "chunks: 2\\r\\nab\\r\\n0\\r\\n: b\\r\\n\\r\\n",
        ),
    ),
    Difference(
        "refused 400 / refused closed",
        "Both refuse.",
        ("chunks: 2;\\nx\\r\\nab\\r\\n0\\r\\n\\r\\n",),
    ),
    Difference(
        "refused closed / refused 400",
        "A size of 64 bits is one that does not come to its end; pieces go on as they come, and the client "
        "runs into the time-out.",
        (
            "chunks: ffffffffffffffff\\r\\nab",
            "chunks: 8000000000000000\\r\\nab",
        ),
    ),
    Difference(
        "refused 400 / passed 200",
        "The parser takes one blank between the parts of the request line (RFC 9112 section 3), and Host is "
        "asked of HTTP/1.0 too.",
        (
            "whole: GET  /@ HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n",
            "whole: GET /@  HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n",
            "whole: GET /@ HTTP/1.1 \\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n",
            "whole: GET /@ HTTP/1.0\\r\\n\\r\\n",
        ),
    ),
    Difference(
        "passed 400 200 / refused 400",
        "A request that is well framed and refused does not end the connection; the next one is judged alone.",
        ("pipeline: a refused one first",),
    ),
    Difference(
        "passed 200 / refused 400",
        "nginx bounds heads at 32 KiB by default, the gateway at 128 KiB: cookies of browsers grow.",
        ("large: 30 KiB of cookies",),
    ),
    Difference(
        "refused 431 / refused 400",
        "Both refuse; 431 says why (RFC 6585 section 5).",
        ("large: 300 KiB of headers",),
    ),
    Difference(
        "refused 400 / passed 200",
        "A fragment is no part of a request target (RFC 9112 section 3.2).",
        (
            "target: /@?a#b",
            "target: /@#b",
            "target: http://a/@#f",
        ),
    ),
    Difference(
        "refused 400 / passed 200",
        "A target that names another host than Host, or another scheme, is refused: programs behind go by "
        "the one or the other (RFC 9112 section 3.2.2).",
        (
            "target: http://other/@",
            "target: ftp://a/@",
        ),
    ),
    Difference(
        "refused 400 / passed 200",
        "A line ends with CR LF (RFC 9112 section 2.2); who takes less reads other lines than who does not.",
        (
            "field: X-A: b\\nX-B: c",
            "whole: GET /@ HTTP/1.1\\nHost: a\\nConnection: close\\n\\n",
            "whole: GET /@ HTTP/1.1\\r\\nHost: a\\nConnection: close\\r\\n\\n",
        ),
    ),
    Difference(
        "refused 400 / passed 200",
        "The parser is strict about chunks: no blanks behind a size, no control characters in extensions, no "
        "length among trailers (RFC 9112 section 7.1).",
        (
            "chunks: 2 ;x\\r\\nab\\r\\n0\\r\\n\\r\\n",
            "chunks: 2 \\r\\nab\\r\\n0\\r\\n\\r\\n",
            "chunks: 2\\t\\r\\nab\\r\\n0\\r\\n\\r\\n",
            "chunks: 2\\r\\nab\\r\\n0\\r\\nContent-Length: 9\\r\\n\\r\\n",
            "chunks: 2;\\x00\\r\\nab\\r\\n0\\r\\n\\r\\n",
        ),
    ),
    Difference(
        "refused 400 / passed 200",
        "PRI begins HTTP/2, which is not spoken here.",
        ("method: PRI",),
    ),
    Difference(
        "line",
        "The server takes the raw characters, and they are forwarded escaped: one spelling of each path.",
        (
            "target: /@<>",
            "target: /@`",
        ),
    ),
    Difference(
        "refused 405 / refused 400",
        "Both refuse, with another word: the parser knows the registered methods and some more, as they are spelled.",
        (
            "method: get",
            "method: Get",
            "method: !#$%&'*+.^_`|~",
        ),
    ),
    Difference(
        "refused 405 / passed 200",
        "The parser knows the registered methods and some more, no others (RFC 9110 section 16.1).",
        (
            "method: FOO",
            "method: XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX",
            "method: __",
        ),
    ),
    Difference(
        "passed 200 / passed 200 200",
        "Where bytes follow a chunked body in the same segment, the connection ends behind its answer; the "
        "client sends what is not answered again (RFC 9112 section 9.3.2).",
        ("pipeline: chunks between",),
    ),
)

ANSWER_DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        "502 / 100",
        "A status has three digits of 1 to 9 hundred behind one blank (RFC 9112 section 4).",
        ("status: 1000 Odd",),
    ),
    Difference(
        "502 / 099",
        "A status has three digits of 1 to 9 hundred behind one blank (RFC 9112 section 4).",
        ("status: 099 Odd",),
    ),
    Difference(
        "502 / closed",
        "nginx takes what does not begin like an answer for one of HTTP/0.9 and passes the bytes on as a "
        "body; here it is a 502.",
        (
            "status: 20 Odd",
            "status: -200 Odd",
            "status: 2x0 Odd",
            "status: ",
            "status: OK",
            "status: 200 O\\rK",
            "version: HTTP/1",
            "version: http/1.1",
            "version: ICY",
            "version: ",
            "version: HTTPS/1.1",
            "version: junk\\r\\nHTTP/1.1",
            "version: HTTP/01.1",
            "whole: \\r\\n",
            "whole: junk",
            "whole: junk\\r\\n\\r\\n",
            "whole: <html>",
            "whole: \\x16\\x03\\x01\\x02\\x00\\x01",
            "whole: ...(64 bytes)",
            "whole: GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n",
        ),
    ),
    Difference(
        "502 / 200",
        "A status has three digits of 1 to 9 hundred behind one blank (RFC 9112 section 4).",
        (
            "status: 200\\tOK",
            "status:  200 OK",
        ),
    ),
    Difference(
        "502 / 200",
        "Versions other than 1.0 and 1.1 are not believed.",
        (
            "version: HTTP/1.2",
            "version:  HTTP/1.1",
        ),
    ),
    Difference(
        "200 / closed",
        "The parser passes over a line end before the answer, and knows HTTP/0.9 with a head; neither "
        "changes where it ends.",
        (
            "version: HTTP/0.9",
            "version: \\r\\nHTTP/1.1",
        ),
    ),
    Difference(
        "502 / 200",
        "The parser refuses header lines and control characters that RFC 9110 section 5 does not allow.",
        (
            "field: X-A",
            "field: X\\xc3\\xa9: b",
            "field: X-A: b\\x01c",
            "field: X-A: b\\x7fc",
            "field: X-A: b\\nX-B: c",
            "field: X(A): b",
        ),
    ),
    Difference(
        "200 / 502",
        "nginx holds an answer's headers in 4 to 8 KiB by default; here they are bounded at 64 KiB.",
        (
            "field: X-A: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb...(9005 bytes)",
            "many: 20 KiB of headers",
        ),
    ),
    Difference(
        "headers",
        "An empty Content-Type is left as it is.",
        ("field: Content-Type:",),
    ),
    Difference(
        "headers",
        "Hop-by-hop headers, what Connection names and orders to other proxies end here (RFC 9110 section 7.6.1).",
        (
            "field: Connection: X-A\\r\\nX-A: b",
            "field: TE: gzip",
            "field: Trailer: X-A",
            "field: Upgrade: h2c",
            "field: Proxy-Authenticate: Basic",
            "field: Proxy-Connection: close",
            "field: X-Middleware-Next: 1",
        ),
    ),
    Difference(
        "200 / 500",
        "Orders to nginx are not obeyed here.",
        ("field: X-Accel-Redirect: /internal",),
    ),
    Difference(
        "headers, body",
        "Orders to nginx are not obeyed here.",
        ("field: X-Accel-Limit-Rate: 10",),
    ),
    Difference(
        "headers",
        "A service behind the gateway cannot set cookies of the session.",
        (
            "field: Set-Cookie: __session=evil",
            "field: Set-Cookie: =__session=evil",
            "field: Set-Cookie: __client_uat=1; Domain=a",
        ),
    ),
    Difference(
        "502 / 200",
        "A length that is not one number, two lengths, a length beside chunks and other codings are not "
        "believed (RFC 9112 section 6.3): where the answer ends would be a guess.",
        (
            "framing: Content-Length:\\r\\n\\r\\nab",
            "framing: Content-Length: +2\\r\\n\\r\\nab",
            "framing: Content-Length: -2\\r\\n\\r\\nab",
            "framing: Content-Length: 0x2\\r\\n\\r\\nab",
            "framing: Content-Length: 2, 2\\r\\n\\r\\nab",
            "framing: Content-Length: 2\\r\\nContent-Length: 2\\r\\n\\r\\nab",
            "framing: Content-Length: 2\\r\\nContent-Length: 3\\r\\n\\r\\nabc",
            "framing: Content-Length: 99999999999999999999\\r\\n\\r\\nab",
            "framing: Content-Length: 2 2\\r\\n\\r\\nab",
            "framing: Content-Length: two\\r\\n\\r\\nab",
            "framing: Content-Length: 2\\r\\nTransfer-Encoding: ch...(61 bytes)",
            "framing: Transfer-Encoding: gzip\\r\\n\\r\\nab",
            "framing: Transfer-Encoding: chunked\\r\\nContent-Leng...(61 bytes)",
            "framing: Transfer-Encoding: identity\\r\\n\\r\\nab",
            "framing: Transfer-Encoding: gzip, chunked\\r\\n\\r\\n2\\r\\nab\\r\\n0\\r\\n\\r\\n",
            "framing: Transfer-Encoding: chunked, chunked\\r\\n\\r\\n2\\r\\nab\\r\\n0\\r\\n\\r\\n",
            "framing: Transfer-Encoding: xchunked\\r\\n\\r\\n2\\r\\nab\\r\\n0\\r\\n\\r\\n",
            "framing: Transfer-Encoding:\\r\\n\\r\\nab",
        ),
    ),
    Difference(
        "502 / 200",
        "The parser is strict about chunks and trailers (RFC 9112 section 7.1); nothing of the body was sent "
        "by then, so it is a 502.",
        (
            "chunks: 2 ;x\\r\\nab\\r\\n0\\r\\n\\r\\n",
            "chunks: 2\\nab\\n0\\n\\n",
            "chunks: 2 \\r\\nab\\r\\n0\\r\\n\\r\\n",
            "chunks: 2\\r\\nab\\r\\n0\\r\\nContent-Length: 9\\r\\n\\r\\n",
            "chunks: 2\\r\\nab\\r\\n0\\r\\nbroken\\r\\n\\r\\n",
        ),
    ),
    Difference(
        "502 / closed",
        "Both refuse; the gateway says so, nginx breaks off.",
        (
            "chunks: 0x2\\r\\nab\\r\\n0\\r\\n\\r\\n",
            "chunks: +2\\r\\nab\\r\\n0\\r\\n\\r\\n",
            "chunks: -2\\r\\nab\\r\\n0\\r\\n\\r\\n",
            "chunks: g\\r\\nab\\r\\n0\\r\\n\\r\\n",
            "chunks: 2\\r\\nabX\\r\\n0\\r\\n\\r\\n",
            "chunks: 2\\r\\nabc\\r\\n0\\r\\n\\r\\n",
            "chunks: fffffffffffffffff\\r\\nab",
            "chunks: \\r\\n2\\r\\nab\\r\\n0\\r\\n\\r\\n",
        ),
    ),
    Difference(
        "200 / closed",
        "A chunk of 64 bits is passed on as it comes, and broken off where it breaks off.",
        ("chunks: ffffffffffffffff\\r\\nab",),
    ),
    Difference(
        "whole",
        "The gateway takes off a length of 204, and the server that of 304.",
        ("bodiless: 204 No Content, length 2",),
    ),
    Difference(
        "200 / 100 200",
        "This nginx takes interim answers for final ones; here they are passed over, and 101 is refused "
        "where nobody asked for it.",
        ("interim: 100 Continue",),
    ),
    Difference(
        "200 / 102 200",
        "This nginx takes interim answers for final ones; here they are passed over, and 101 is refused "
        "where nobody asked for it.",
        ("interim: 102 Processing",),
    ),
    Difference(
        "200 / 103 200",
        "This nginx takes interim answers for final ones; here they are passed over, and 101 is refused "
        "where nobody asked for it.",
        ("interim: 103 Early Hints\\r\\nLink: </a>; rel=preload",),
    ),
    Difference(
        "200 / 199 200",
        "This nginx takes interim answers for final ones; here they are passed over, and 101 is refused "
        "where nobody asked for it.",
        ("interim: 199 Odd",),
    ),
    Difference(
        "502 / 101 200",
        "This nginx takes interim answers for final ones; here they are passed over, and 101 is refused "
        "where nobody asked for it.",
        (
            "interim: 101 Switching Protocols",
            "interim: 101 Switching Protocols\\r\\nUpgrade: websoc...(64 bytes)",
            "interim: 101 Switching Protocols\\r\\nUpgrade: h2c\\r\\nConnection: upgrade",
        ),
    ),
    Difference(
        "502 / 100",
        "An interim answer alone is no answer.",
        ("interim alone: 100 Continue",),
    ),
    Difference(
        "502 / 102",
        "An interim answer alone is no answer.",
        ("interim alone: 102 Processing",),
    ),
    Difference(
        "502 / 103",
        "An interim answer alone is no answer.",
        ("interim alone: 103 Early Hints\\r\\nLink: </a>; rel=preload",),
    ),
    Difference(
        "502 / 199",
        "An interim answer alone is no answer.",
        ("interim alone: 199 Odd",),
    ),
    Difference(
        "502 / 101",
        "An interim answer alone is no answer.",
        (
            "interim alone: 101 Switching Protocols",
            "interim alone: 101 Switching Protocols\\r\\nUpgrade: websoc...(64 bytes)",
            "interim alone: 101 Switching Protocols\\r\\nUpgrade: h2c\\r\\nConnection: upgrade",
        ),
    ),
    Difference(
        "502 / 200",
        "The parser takes no bare line feeds in answers.",
        ("whole: HTTP/1.1 200 OK\\nContent-Length: 2\\n\\nab",),
    ),
)
