"""Paths to endpoints. Exact paths are one look-up; those with a parameter are few."""

import re
from collections.abc import Callable, Mapping

from modelmux.errors import GatewayError, MethodNotAllowed, NotFound, UpgradeRequired
from modelmux.ingress.endpoint import refuse, request_id
from modelmux.ingress.entrance import SurfaceName
from modelmux.ingress.http import Answer, Endpoint, HttpRequest
from modelmux.wire.base import Wire

Methods = Mapping[str, Endpoint]


class Uploads(dict[str, Endpoint]):
    """Endpoints by method, of a path to which bodies are sent that may be too large for memory."""


Table = tuple[Mapping[str, Methods], Mapping[str, Methods]]
"""Endpoints by path, and by the beginning of a path."""


_PLAIN = re.compile(rb"[!$&-.0-;=@-~/]+")
"""A path that needs no decoding: no escapes, no fragment, nothing but printable ASCII."""


class Routes:
    """The table of one kind of listener. Its `__call__` never raises `Exception`."""

    def __init__(
        self,
        exact: Mapping[str, Methods],
        prefixes: Mapping[str, Methods],
        dialect: Callable[[HttpRequest], Wire],
        new_id: Callable[[], str],
        failed: Callable[[HttpRequest, str, Exception], None],
        surfaces: Mapping[SurfaceName, "Table"] | None = None,
    ) -> None:
        """Make a table.

        Args:
            exact: Endpoints by path and method.
            prefixes: Endpoints by the beginning of a path; the rest is the parameter `id`.
            dialect: The wire in which to refuse a request that reaches no endpoint.
            new_id: Makes request ids.
            failed: Told of a defect.
            surfaces: What is there instead for requests that came in by a listener with another
                surface than callers'.
        """
        self._exact = exact
        self._prefixes = prefixes
        self._dialect = dialect
        self._new_id = new_id
        self._failed = failed
        self._surfaces: Mapping[SurfaceName, Table] = surfaces or {}
        self._uploads = frozenset(_uploads(exact))
        self._upload_prefixes = tuple(_uploads(prefixes))
        self._fast = frozenset(_posts(exact))
        self._fast_prefixes = tuple(_posts(prefixes))

    async def __call__(self, request: HttpRequest) -> Answer:
        """The answer to any request."""
        try:
            return await self._find(request)(request)
        except GatewayError as exc:
            return self._refuse(request, exc)
        # The outermost handler: a defect of ours is told to the caller as such, with the id under
        # which it is in the log, and not as a broken connection.
        except Exception as exc:  # noqa: BLE001
            id_ = request_id(request, self._new_id)
            self._failed(request, id_, exc)
            error = GatewayError(f"the gateway failed on this request; its log has it under {id_}")
            return refuse(error, self._dialect(request), id_)

    def broke(self, request: HttpRequest, exc: Exception) -> None:
        """Tell of a defect that came to light while an answer was being given."""
        self._failed(request, request_id(request, self._new_id), exc)

    def is_fast(self, method: bytes, path: bytes) -> bool:
        """Whether such a request is worth a shorter way than ASGI's."""
        if method != b"POST":
            return False
        return path in self._fast or (
            path.startswith(self._fast_prefixes) and _PLAIN.fullmatch(path) is not None
        )

    def takes_upload(self, path: str) -> bool:
        """Whether bodies that are sent there may be too large for memory."""
        return path in self._uploads or path.startswith(self._upload_prefixes)

    def _refuse(self, request: HttpRequest, exc: GatewayError) -> Answer:
        """An error as an answer in the dialect of the request's path."""
        answer = refuse(exc, self._dialect(request), request_id(request, self._new_id))
        if isinstance(exc, MethodNotAllowed):
            answer.headers.append((b"allow", ", ".join(_allowed(self._methods(request))).encode()))
        if isinstance(exc, UpgradeRequired):  # the protocol is named, as RFC 9110 has it
            answer.headers.append((b"upgrade", b"websocket"))
        return answer

    def _find(self, request: HttpRequest) -> Endpoint:
        methods = self._methods(request)
        # HEAD is GET whose answer's body the server leaves out: what watches a gateway asks so.
        endpoint = methods.get("GET" if request.method == "HEAD" else request.method)
        if endpoint is None:
            allowed = " or ".join(_allowed(methods))
            raise MethodNotAllowed(f"expected {allowed} for {request.path}, got {request.method}")
        return endpoint

    def _methods(self, request: HttpRequest) -> Methods:
        path = request.path
        exact, prefixes = self._exact, self._prefixes
        if self._surfaces:
            table = self._surfaces.get(request.entrance.identity.surface)
            exact, prefixes = table or (exact, prefixes)
        if methods := exact.get(path):
            return methods
        for prefix, methods in prefixes.items():
            if path.startswith(prefix) and len(path) > len(prefix):
                request.parameters = {"id": path.removeprefix(prefix)}
                return methods
        raise NotFound(f"nothing is at {path}; the model APIs are below /v1")


def _posts(table: Mapping[str, Methods]) -> list[bytes]:
    slow = set(_uploads(table))
    return [
        path.encode() for path, methods in table.items() if "POST" in methods and path not in slow
    ]


def _uploads(table: Mapping[str, Methods]) -> list[str]:
    return [path for path, methods in table.items() if isinstance(methods, Uploads)]


def _allowed(methods: Methods) -> list[str]:
    return [*methods, "HEAD"] if "GET" in methods else list(methods)
