"""What `modelmux doctor` looks at. Each function gives findings, and changes nothing."""

import errno
import os
import platform
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from msgspec import Struct

from modelmux import __version__
from modelmux.cli.port_holder import holder
from modelmux.config import vertex
from modelmux.config.discover import ProviderType
from modelmux.config.load import Loaded
from modelmux.config.marks import without_credentials
from modelmux.config.paths import Directories
from modelmux.config.schema import Provider
from modelmux.errors import ConfigError
from modelmux.ingress import listen
from modelmux.ingress.address import FdAddress, TcpAddress, UnixAddress, VsockAddress

State = Literal["ok", "warn", "fail"]

CONNECT_TIMEOUT_S = 3.0
OLDEST_PYTHON = (3, 11)
_GOOGLE_DEFAULT = ".config/gcloud/application_default_credentials.json"


class Finding(Struct, frozen=True):
    """One thing that was looked at."""

    state: State
    subject: str
    detail: str
    fix: str = ""
    """What to do; empty if it is ok."""


def environment() -> Iterator[Finding]:
    """The interpreter and the version of modelmux."""
    yield Finding("ok", "modelmux", __version__)
    version = platform.python_version()
    if sys.version_info[:2] < OLDEST_PYTHON:
        yield Finding("fail", "python", version, "install Python 3.11 or newer")
    else:
        yield Finding("ok", "python", f"{version} on {platform.system()} {platform.machine()}")


def configuration(loaded: Loaded) -> Iterator[Finding]:
    """The files read, and what is unwise in them."""
    for source in loaded.sources:
        state = "read" if source.found else "not there, which is fine"
        yield Finding("ok", f"config {source.layer}", f"{source.path}: {state}")
    for warning in loaded.warnings:
        yield Finding("warn", "config", warning, "change it, or leave it so")


def broken(exc: ConfigError) -> Iterator[Finding]:
    """What is wrong with a configuration that cannot be loaded."""
    for problem in exc.problems:
        yield Finding("fail", "config", problem.message, problem.hint or "correct it there")


def folders(where: Directories) -> Iterator[Finding]:
    """Whether the folders of the gateway can be written."""
    for name, path in (("runtime folder", where.runtime), ("state folder", where.state)):
        nearest = next(each for each in (path, *path.parents) if each.exists())
        if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
            yield Finding("ok", name, str(path))
        else:
            yield Finding("fail", name, f"{path} cannot be written", f"sudo chown $USER {nearest}")


def providers(
    loaded: Loaded,
    types: Mapping[str, ProviderType],
    connect: Callable[[str, int], str],
) -> list[Finding]:
    """For each provider: whether it has a key, and whether its host can be reached.

    Args:
        loaded: The configuration.
        types: Provider types of the catalogue.
        connect: Why a host and port cannot be reached; empty if they can.
    """
    rows = [(each, types[each.type]) for each in loaded.config.providers]
    if not rows and not vertex.is_used(loaded.config.vertex):
        fix = "set OPENAI_API_KEY or the like, or write [[providers]]: `modelmux config init`"
        return [Finding("warn", "providers", "none: only the echo model answers", fix)]
    with ThreadPoolExecutor(max_workers=8) as pool:
        reached = [pool.submit(_reach, each, row, connect) for each, row in rows]
        found: list[Finding] = []
        for (each, _), future in zip(rows, reached, strict=True):
            found += [_key(each), future.result()]
    return found


def google(
    loaded: Loaded, environ: Mapping[str, str], home: Path, *, has_library: bool
) -> Iterator[Finding]:
    """Whether Vertex AI can be called: the library is here, and credentials are.

    Args:
        loaded: The configuration.
        environ: The environment.
        home: The home folder.
        has_library: Whether `google.auth` can be imported.
    """
    tables = [each for each in loaded.config.providers if each.type == vertex.NAME]
    if not (tables or vertex.is_used(loaded.config.vertex)):
        return
    if not has_library:
        yield Finding(
            "fail", "vertex", "google-auth is not there", "pip install 'modelmux[vertex]'"
        )
    auth = loaded.config.auth
    said = [auth.service_account_file, auth.service_account_json]
    said += [each.service_account_file or each.service_account_json for each in tables]
    if any(said):
        yield Finding("ok", "vertex", "credentials: a service account of the configuration")
        return
    named = environ.get("GOOGLE_APPLICATION_CREDENTIALS", "")
    path = Path(named) if named else home / _GOOGLE_DEFAULT
    if path.is_file():
        yield Finding("ok", "vertex", f"credentials: application default, {path}")
    else:
        # On Google's machines the metadata server has them, which only asking it would tell.
        fix = "gcloud auth application-default login, or [auth] service_account_file"
        yield Finding("warn", "vertex", f"credentials: none at {path}", fix)


def _key(provider: Provider) -> Finding:
    subject = f"provider {provider.name}"
    if provider.keys:
        return Finding("ok", subject, f"api keys: {len(provider.keys)}")
    if provider.auth == "passthrough":
        return Finding("ok", subject, "callers' own credentials are passed on")
    return Finding("ok", subject, "needs no api key")  # else the configuration was refused


def _reach(provider: Provider, row: ProviderType, connect: Callable[[str, int], str]) -> Finding:
    subject = f"provider {provider.name}"
    base = provider.base_url or row.base_url
    if base.startswith("unix:"):
        path = base.removeprefix("unix:")
        if Path(path).is_socket():
            return Finding("ok", subject, f"{path} is a socket")
        return Finding("fail", subject, f"{path} is no socket", "start what listens there")
    url = urlsplit(base)
    if not url.hostname:
        return Finding("ok", subject, "its host depends on the model")
    port = url.port or (443 if url.scheme == "https" else 80)
    problem = connect(url.hostname, port)
    if not problem:
        return Finding("ok", subject, f"{url.hostname}:{port} can be reached")
    shown = without_credentials(base)
    return Finding(
        "fail", subject, f"{shown}: {problem}", "check base_url, the network and the firewall"
    )


def reach(host: str, port: int) -> str:
    """Why a host and port cannot be reached; empty if they can."""
    try:
        with socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_S):
            return ""
    except socket.gaierror:
        return f"there is no host {host!r}"
    except TimeoutError:
        return f"no connection within {CONNECT_TIMEOUT_S:g} s"
    except OSError as exc:
        return exc.strerror or str(exc)


def listeners(loaded: Loaded, ours: Mapping[str, int]) -> Iterator[Finding]:
    """Whether each address is free, or who has it.

    Args:
        loaded: The configuration.
        ours: Addresses on which gateways of this user listen, with their pids.
    """
    for address in loaded.config.addresses:
        subject = f"listen {address}"
        if str(address) in ours:
            yield Finding("ok", subject, f"our gateway listens there (pid {ours[str(address)]})")
            continue
        match address:
            case TcpAddress():
                yield _tcp(subject, address)
            case UnixAddress():
                yield _unix(subject, address)
            case VsockAddress() | FdAddress():
                yield Finding("ok", subject, "can be told only when it is opened")


def _tcp(subject: str, address: TcpAddress) -> Finding:
    try:
        for listener in listen.open_one(address):
            listener.close()
    except ConfigError as exc:
        cause = exc.__context__
        is_taken = isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE
        who = holder(address.port) if is_taken else ""
        detail = f"{who} has it" if who else exc.message
        return Finding("fail", subject, detail, exc.hint or "listen on 127.0.0.1")
    return Finding("ok", subject, "free")


def _unix(subject: str, address: UnixAddress) -> Finding:
    if address.abstract:
        return Finding("ok", subject, "can be told only when it is opened")
    path = Path(address.path)
    if path.exists() and not path.is_socket():
        return Finding("fail", subject, "another file is there", "choose another path")
    if not path.parent.is_dir():
        return Finding("fail", subject, "its folder is not there", f"mkdir -p {path.parent}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return Finding("fail", subject, "its folder cannot be written", "choose another path")
    return Finding("ok", subject, "its folder can be written")


def is_sound(findings: Sequence[Finding]) -> bool:
    """Whether nothing fails."""
    return all(each.state != "fail" for each in findings)
