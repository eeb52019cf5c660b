"""Models on Azure: where a resource is, from any of the URLs that Azure shows for it."""

import re
from typing import Final

_OPERATIONS: Final = re.compile(r"/(?:openai|anthropic|api/projects)(?:/.*)?$")


def resource(base_url: str) -> str:
    """The resource's own URL: what stands before the paths of the APIs that it has.

    Azure's pages give it with `/openai`, `/openai/v1`, `/anthropic` or a project's path behind it,
    and people copy the one that is at hand.
    """
    return _OPERATIONS.sub("", base_url.strip().partition("?")[0].rstrip("/"))
