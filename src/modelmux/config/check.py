"""What the schema cannot say: rules between values, and what is merely unwise."""

import re
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from modelmux.config import credentials, vertex
from modelmux.config.discover import ProviderTypes
from modelmux.config.expand import FILE_PREFIX
from modelmux.config.origin import (
    FILE_LAYERS,
    Branch,
    Items,
    KeyPath,
    Leaf,
    Node,
)
from modelmux.config.problem import Place
from modelmux.config.schema import Config
from modelmux.config.shape import (
    EitherShape,
    ListShape,
    MapShape,
    ScalarShape,
    Shape,
    TableShape,
    config_shape,
)
from modelmux.errors import ConfigError
from modelmux.ingress.address import TcpAddress, is_exposed, parse_address


class Checked(Struct, frozen=True):
    """What a rule may look at, and where it tells what it found."""

    config: Config
    place: Place
    types: ProviderTypes
    folder: Path
    """What file names are relative to that do not come from a file."""
    is_root: bool = False


Rule = Callable[[Checked], None]


def listeners(checked: Checked) -> None:
    """Listeners can be understood, are told once, and are not open to strangers by accident."""
    server, place = checked.config.server, checked.place
    seen: dict[object, str] = {}
    if server.port is not None:
        seen[TcpAddress("127.0.0.1", server.port)] = "server.port"
        _warn_low_port(checked, ("server", "port"), server.port)
    for index, text in enumerate(server.listen):
        path = ("server", "listen", index)
        try:
            address = parse_address(text)
        except ConfigError as exc:
            place.error(path, exc.message, exc.hint)
            continue
        if address in seen and seen[address] != "server.port":
            place.error(path, f"{text!r} is listed twice")
        seen[address] = text
        if isinstance(address, TcpAddress):
            _warn_low_port(checked, path, address.port)
        if is_exposed(address) and not (checked.config.keys or server.allow_anonymous):
            place.error(
                path,
                f"others can reach {text!r}, and no key is asked for",
                "add [[keys]], listen on 127.0.0.1, or set server.allow_anonymous = true",
            )


def _warn_low_port(checked: Checked, path: KeyPath, port: int) -> None:
    if 0 < port < 1024 and not checked.is_root:
        checked.place.warn(path, f"port {port} is below 1024, which most systems keep for root")


def server(checked: Checked) -> None:
    """Settings of the process are available and sensible."""
    said, place = checked.config.server, checked.place
    if said.workers != 1 and sys.platform == "win32":
        place.error(("server", "workers"), f"expected 1, got {said.workers}: Windows has no more")
    _per_worker(checked)
    if said.max_retry_attempts > 10:
        message = f"{said.max_retry_attempts} attempts make a caller wait long for a failure"
        place.warn(("server", "max_retry_attempts"), message)
    if said.allow_anonymous and checked.config.keys:
        message = "has no effect: there are [[keys]], so everybody needs one"
        place.warn(("server", "allow_anonymous"), message)
    if said.log_level == "trace":
        place.warn(("server", "log_level"), "trace makes a large log")


def _per_worker(checked: Checked) -> None:
    """Limits count in each worker: nobody is to think that they hold for all together."""
    workers, place = checked.config.server.workers, checked.place
    for index, provider in enumerate(checked.config.providers if workers > 1 else ()):
        for key in ("limits", "key_limits"):
            said = getattr(provider, key)
            if said.requests_per_minute or said.tokens_per_minute or said.concurrency:
                message = f"counts in each of the {workers} workers: divide it by {workers}"
                place.warn(("providers", index, key), message)


def streaming(checked: Checked) -> None:
    """Buffering neither defeats itself nor streaming."""
    said, place = checked.config.streaming, checked.place
    if not 1024 <= said.buffer_size <= 10 * 1024 * 1024:
        place.warn(("streaming", "buffer_size"), "is usually from 1024 to 10485760 bytes")
    if not 100 <= said.chunk_timeout_ms <= 60_000:
        place.warn(("streaming", "chunk_timeout_ms"), "is usually from 100 to 60000 milliseconds")


def google(checked: Checked) -> None:
    """`[vertex]` is whole, and `[auth]` holds a key that can work."""
    config, place = checked.config, checked.place
    used = vertex.is_used(config.vertex)
    if used and vertex.NAME not in checked.types:
        place.error(("vertex",), "[vertex] is not available in this version")
    elif used:
        _vertex_models(checked)
    auth = config.auth
    if not (auth.service_account_file or auth.service_account_json):
        return
    if not used and all(provider.type != vertex.NAME for provider in config.providers):
        place.warn(("auth",), "has no effect without [vertex]")
    service_account(checked, ("auth",), auth.service_account_file, auth.service_account_json)


def _vertex_models(checked: Checked) -> None:
    said, place = checked.config.vertex, checked.place
    hint = "set it here or in [vertex], or give the whole url"
    # Without a model of its own, [vertex] is only what its models have in common.
    if (said.model or not said.models) and (missing := vertex.missing(said)):
        place.error(("vertex",), f"expected {', '.join(missing)}", hint)
    for index, entry in enumerate(said.models):
        if missing := vertex.missing(said, entry):
            place.error(("vertex", "models", index), f"expected {', '.join(missing)}", hint)
    seen: set[str] = set()
    for path, name in vertex.names(said):
        if name.lower() in seen:
            place.error(path, f"the name {name!r} is used twice")
        seen.add(name.lower())


def service_account(checked: Checked, path: KeyPath, file: str, text: str) -> None:
    """Google credentials of the table at `path` can be read and look like what they should be."""
    if file and text:
        message = "service_account_json is used, service_account_file is not"
        checked.place.warn((*path, "service_account_file"), message)
    if text:
        key, found = "service_account_json", credentials.service_account(text)
    elif file:
        key, found = "service_account_file", credentials.service_account_file(Path(file))
    else:
        return
    if found.error:
        checked.place.error((*path, key), found.error, found.hint)
    for warning in found.warnings:
        checked.place.warn((*path, key), warning)


_VSOCK = re.compile(r"vsock:[0-9]{1,10}:[0-9]{1,10}(:/[!-~]*)?")
URL_HINT = "write https://HOST/…, http://HOST:PORT/…, unix:PATH or vsock:CID:PORT"


def url_problem(text: str) -> str:
    """Why a text is no URL of a provider; empty if it is one. Does not quote it."""
    if text.startswith("vsock:"):
        return "" if _VSOCK.fullmatch(text) else "expected vsock:CID:PORT, or vsock:CID:PORT:/PATH"
    if text.startswith("unix:"):
        return "" if text.removeprefix("unix:").strip("/") else "expected a path after unix:"
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port
    except ValueError:
        return "expected a URL"
    if url.scheme not in {"http", "https"} or not host or re.search(r"\s", text):
        return "expected a URL"
    return "expected a URL without a fragment (#…)" if url.fragment else ""


def exposed_secrets(checked: Checked) -> None:
    """No configuration file that others can read holds a secret in plain text."""
    for path, leaf in _secret_leaves(checked.place.root, config_shape(), ()):
        text = leaf.value
        if leaf.origin.layer not in FILE_LAYERS or leaf.variables or not isinstance(text, str):
            continue
        if not text or text.startswith(FILE_PREFIX):
            continue
        if _others_reach(checked.folder / leaf.origin.file):
            message = f"a secret in a file that every user can read: chmod 600 {leaf.origin.file}"
            checked.place.warn(path, message)


def _others_reach(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & stat.S_IRWXO)
    except OSError:  # gone since it was read
        return False


def _secret_leaves(node: Node, shape: Shape, path: KeyPath) -> Iterator[tuple[KeyPath, Leaf]]:
    match node, shape:
        case Leaf(), ScalarShape(secret=True):
            yield path, node
        case Branch(), TableShape():
            for key, each in node.children.items():
                if key in shape.fields:
                    yield from _secret_leaves(each, shape.fields[key].shape, (*path, key))
        case Items(), ListShape(item=item) if not isinstance(item, MapShape | EitherShape):
            for index, each in enumerate(node.items):
                yield from _secret_leaves(each, item, (*path, index))
        case _:
            pass


SERVER_RULES: tuple[Rule, ...] = (listeners, server, streaming, google, exposed_secrets)
