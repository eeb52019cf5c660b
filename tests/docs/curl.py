"""As much of curl as the examples use, for machines that have none: `python -m tests.docs.curl`."""

import argparse
import sys
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from tests.support import plain


def main(arguments: Sequence[str]) -> int:
    """Send one request and write what is asked for; the exit code."""
    parser = argparse.ArgumentParser("curl", allow_abbrev=False)
    for flag in ("-s", "-N", "-i"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("-o", default="-")
    parser.add_argument("-D", default="")
    parser.add_argument("-d")
    parser.add_argument("-H", action="append", default=[])
    parser.add_argument("--unix-socket", dest="socket", default="")
    parser.add_argument("url")
    asked = parser.parse_args(arguments)
    url = urlsplit(asked.url)
    headers = {"user-agent": "curl/8.14.1", "accept": "*/*"}
    headers |= dict(field.split(": ", 1) for field in asked.H)
    answer = plain.request(
        f"unix:{asked.socket}" if asked.socket else f"http://{url.netloc}",
        "GET" if asked.d is None else "POST",
        url.path + (f"?{url.query}" if url.query else ""),
        None if asked.d is None else asked.d.encode(),
        headers,
    )
    fields = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
    head = f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n{fields}\r\n".encode()
    if asked.D:
        _write(asked.D, head)
    _write(asked.o, head + answer.body if asked.i else answer.body)
    return 0


def _write(place: str, content: bytes) -> None:
    if place == "-":
        sys.stdout.buffer.write(content)
    else:
        Path(place).write_bytes(content)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
