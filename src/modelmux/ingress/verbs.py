"""Paths that say the model and what is asked of it: `{model}:{verb}`, as Google writes them."""

from collections.abc import Mapping

from modelmux.errors import NotFound
from modelmux.ingress.http import Answer, Endpoint, HttpRequest


class Verbs:
    """Endpoints by verb. They find `model` and `verb` among the request's parameters."""

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self._endpoints = endpoints

    async def __call__(self, request: HttpRequest) -> Answer:
        """Answer a request whose parameter `id` is `{model}:{verb}`; a model may hold colons.

        Raises:
            NotFound: There is no such verb.
        """
        model, _, verb = request.parameters["id"].rpartition(":")
        endpoint = self._endpoints.get(verb)
        if endpoint is None or not model:
            known = ", ".join(f":{name}" for name in self._endpoints)
            raise NotFound(f"expected a model and one of {known}, got {request.path}")
        request.parameters = {"model": model, "verb": verb}
        return await endpoint(request)
