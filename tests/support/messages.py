"""HTTP requests as clients should not send them: what parsers have disagreed about.

Cases of request smuggling and of bad framing, beside requests that are right.
"""

BODY = b'{"model":"modelmux/echo","messages":[{"role":"user","content":"hi"}]}'
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
PATH = b"/v1/chat/completions"


def post(*fields: bytes, body: bytes = b"", path: bytes = PATH, version: bytes = b"1.1") -> bytes:
    """A POST with these header fields and `body` as it is."""
    lines = b"".join(b"%b\r\n" % field for field in (b"Host: h", *fields))
    return b"POST %b HTTP/%b\r\n%b\r\n%b" % (path, version, lines, body)


LENGTH = b"Content-Length: %d" % len(BODY)
TE = b"Transfer-Encoding: chunked"

RIGHT = (
    post(LENGTH, body=BODY),
    post(TE, body=CHUNKED),
    post(
        TE,
        body=b"3;a=b\r\n%b\r\n" % BODY[:3]
        + b"%X\r\n%b\r\n0\r\nX-T: 1\r\n\r\n" % (len(BODY) - 3, BODY[3:]),
    ),
    post(b"content-length:%d" % len(BODY), body=BODY),
    post(LENGTH, b"Connection: close", body=BODY),
    post(LENGTH, body=BODY, version=b"1.0"),
    post(LENGTH, body=BODY, path=PATH + b"?key=x&beta=true"),
    b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n",
    b"HEAD /healthz HTTP/1.1\r\nHost: h\r\n\r\n",
    b"\r\nGET /healthz HTTP/1.1\r\nHost: h\r\n\r\n",
)

SMUGGLED = (
    post(LENGTH, TE, body=CHUNKED),
    post(TE, LENGTH, body=CHUNKED),
    post(LENGTH, b"Content-Length: 0", body=BODY),
    post(b"Content-Length: 0", LENGTH, body=BODY),
    post(b"Content-Length: %d, %d" % (len(BODY), len(BODY)), body=BODY),
    post(b"Content-Length: +%d" % len(BODY), body=BODY),
    post(b"Content-Length: 0x%x" % len(BODY), body=BODY),
    post(b"Content-Length: -1", body=BODY),
    post(b"Content-Length: 99999999999999999999999", body=BODY),
    post(b"Content-Length : %d" % len(BODY), body=BODY),
    post(b" Content-Length: %d" % len(BODY), body=BODY),
    post(b"Content-Length: %d\r\n 0" % len(BODY), body=BODY),
    post(b"Content\x00-Length: %d" % len(BODY), body=BODY),
    post(b"X: y\rContent-Length: 5", LENGTH, body=BODY),
    post(b"X: y\nContent-Length: 5", LENGTH, body=BODY),
    post(b"Transfer-Encoding: xchunked", body=CHUNKED),
    post(b"Transfer-Encoding: chunked, identity", body=CHUNKED),
    post(b"Transfer-Encoding: identity", LENGTH, body=BODY),
    post(b"Transfer-Encoding: gzip, chunked", body=CHUNKED),
    post(b"Transfer-Encoding : chunked", body=CHUNKED),
    post(b"Transfer-Encoding:\x0bchunked", body=CHUNKED),
    post(TE, TE, body=CHUNKED),
    post(TE, body=b"0\r\n\r\n"),
    post(TE, body=b"5\r\nabc\r\n0\r\n\r\n"),
    post(TE, body=b"3\nabc\n0\n\n"),
    post(TE, body=b"-3\r\nabc\r\n0\r\n\r\n"),
    post(TE, body=b"0x3\r\nabc\r\n0\r\n\r\n"),
    post(TE, body=b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
    post(TE, body=b"3 \r\nabc\r\n0\r\n\r\n"),
    post(TE, body=b"3\r\nabcX\r\n0\r\n\r\n"),
    post(TE, body=CHUNKED, version=b"1.0"),
)

MALFORMED = (
    b"GET /healthz HTTP/1.1\nHost: h\n\n",
    b"GET /healthz\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost h\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\n: h\r\n\r\n",
    b"GET  /healthz  HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET /healthz HTTP/2.0\r\nHost: h\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: h\r\nX: \x00\r\n\r\n",
    b"GET /heal\x00thz HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET http://h/healthz HTTP/1.1\r\nHost: h\r\n\r\n",
    b"get /healthz HTTP/1.1\r\nHost: h\r\n\r\n",
    b"BREW /healthz HTTP/1.1\r\nHost: h\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    post(LENGTH, b"Connection: upgrade", b"Upgrade: websocket", body=BODY),
)

MESSAGES = (*RIGHT, *SMUGGLED, *MALFORMED)

PIECES = (
    *(b"POST", b"GET", b"HEAD", b" ", b"/a", b"?b", b"%2f", b" HTTP/1.1\r\n", b" HTTP/1.0\r\n"),
    *(b"\r\n", b"\n", b"\r", b"\t", b"\0", b"\xff", b":", b"a: b\r\n", b"Host: h\r\n"),
    *(b"Content-Length: 3\r\n", b"Content-Length: 0\r\n", b"content-length:5\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"Expect: 100-continue\r\n"),
    *(b"\r\n\r\n", b"abc", b"3\r\nabc\r\n", b"0\r\n\r\n", b"POST /a HTTP/1.1\r\n"),
    *(b"POST /a HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc", b"GET /b HTTP/1.1\r\n\r\n"),
)
"""What a request is made of, and what it is not."""
