"""Malformed, cut, sent-ahead and smuggled requests: do both ways and nginx refuse the same?

    python -m fuzz.requests [--seconds 60] [--seed N]

Three servers get the same bytes: the gateway by its fast path, the gateway over ASGI, and nginx in
front of the latter. The two ways must agree in every status and in whether the connection is
closed; that is an error if not. Against nginx it is counted who refuses what the other answers, and
an error if we answer more requests than nginx does: that is what smuggling lives on. Needs nginx.
"""

import argparse
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

from tests.support.messages import MESSAGES, PIECES, RIGHT

READ_S = 0.3
"""How long a server may be silent before it is taken for one that waits for more."""

LAST = b"GET /healthz HTTP/1.1\r\nHost: last\r\nConnection: close\r\n\r\n"
"""Ends the connection where what was before it has been understood as a whole."""

GATEWAY = '[server]\nlisten = ["127.0.0.1:{port}"]\nlog_level = "error"\nfast_path = {fast}\n'

NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log /dev/null;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream gateway {{ server 127.0.0.1:{upstream}; keepalive 8; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://gateway; proxy_http_version 1.1; proxy_set_header Connection "";
    }}
  }}
}}
"""

Verdict = tuple[tuple[int, ...], bool]
"""Statuses in order, and whether the server has closed."""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def started(command: Sequence[str], port: int, home: Path) -> Generator[int]:
    """A server on `port`, ended in the end."""
    environment = {"PATH": "/usr/bin:/bin:/usr/sbin", "HOME": str(home)}
    process = subprocess.Popen(  # noqa: S603  # our own
        command, env=environment, stderr=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + 30
        while time.monotonic() < end and verdict(port, [LAST]) != ((200,), True):
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def gateway(folder: Path, *, fast: bool) -> tuple[list[str], int]:
    """The command of a gateway that goes one way, and its port."""
    port = free_port()
    config = folder / f"{port}.toml"
    config.write_text(GATEWAY.format(port=port, fast=str(fast).lower()))
    return [sys.executable, "-m", "modelmux", "serve", "-c", str(config)], port


def nginx(folder: Path, upstream: int) -> tuple[list[str], int]:
    """The command of nginx in front of `upstream`, and its port."""
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port, upstream=upstream))
    return [program, "-p", str(folder), "-e", "/dev/null", "-c", str(config)], port


def verdict(port: int, parts: Sequence[bytes]) -> Verdict:
    """What a server makes of bytes that come in these parts."""
    answer, is_closed = b"", False
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line.settimeout(READ_S)
            try:
                for part in parts:
                    line.sendall(part)
            except OSError:
                pass  # it has closed before all was said
            while True:
                try:
                    piece = line.recv(65_536)
                except TimeoutError:
                    break
                except OSError:
                    piece = b""
                if not piece:
                    is_closed = True
                    break
                answer += piece
    except OSError:
        return (), True
    heads = [part for part in answer.split(b"HTTP/1.1 ")[1:] if part[:1] != b"1"]
    return tuple(int(head[:3]) for head in heads), is_closed


def made(rng: random.Random) -> bytes:
    """Something to send."""
    if rng.random() < 0.4:
        return b"".join(rng.choices(PIECES, k=rng.randint(1, 14)))
    sent = b"".join(rng.choices([*MESSAGES, *RIGHT], k=rng.randint(1, 3)))
    for _ in range(rng.choice([0, 0, 1, 2])):  # a byte too many, too few, or another
        at = rng.randrange(len(sent))
        new = rng.choice(
            [b"", b"\r", b"\n", b" ", b"\0", b":", b",", b"0", bytes([rng.randrange(256)])]
        )
        sent = sent[:at] + new + sent[at + rng.randint(0, 1) :]
    return sent


def cut(rng: random.Random, sent: bytes) -> list[bytes]:
    """`sent` in parts."""
    places = {rng.randrange(len(sent) + 1) for _ in range(rng.choice([0, 0, 1, 3]))}
    return [sent[start:end] for start, end in pairwise(sorted({0, len(sent), *places}))]


def answered(found: Verdict) -> int:
    """How many requests were taken for requests: not those that are no HTTP to the server."""
    return sum(status not in {400, 408, 413, 414, 421, 431, 494, 501, 505} for status in found[0])


def core(found: Verdict) -> Verdict:
    """The verdict without a last 400: whether it is still said hangs on when its cause was read."""
    statuses, is_closed = found
    return (statuses[:-1] if is_closed and statuses[-1:] == (400,) else statuses), is_closed


def say(line: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{line}\n")


def run(seconds: float, seed: int) -> int:
    """Fuzz for so long; the exit code."""
    rng = random.Random(seed)  # noqa: S311  # a fuzzer's
    counts: Counter[str] = Counter()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        fast = stack.enter_context(started(*gateway(folder, fast=True), folder))
        plain = stack.enter_context(started(*gateway(folder, fast=False), folder))
        other = stack.enter_context(started(*nginx(folder, plain), folder))
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            sent = made(rng)
            parts = [*cut(rng, sent), LAST]
            ours, asgi, theirs = (verdict(port, parts) for port in (fast, plain, other))
            counts["sent"] += 1
            tries = 1
            # What comes in one read and what in the next is not the sender's to say.
            while core(ours) != core(asgi) and tries < 4:
                ours, asgi = verdict(fast, parts), verdict(plain, parts)
                tries += 1
            if core(ours) != core(asgi):
                counts["the two ways disagree"] += 1
                say(f"ways disagree: fast {ours}, ASGI {asgi}: {parts!r}")
            if answered(ours) > answered(theirs):
                counts["answered here, refused by nginx"] += 1
                say(f"more than nginx: {ours}, nginx {theirs}: {parts!r}")
            elif answered(ours) < answered(theirs):
                counts["refused here, answered by nginx"] += 1
    say(", ".join(f"{name}: {count}" for name, count in counts.items()))
    return 1 if counts["the two ways disagree"] else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    sys.exit(run(chosen.seconds, chosen.seed))
