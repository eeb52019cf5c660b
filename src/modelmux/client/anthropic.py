"""Anthropic's SDK, which takes a socket's address for a base URL.

```python
from modelmux.client.anthropic import Anthropic

client = Anthropic(base_url="unix:/run/modelmux/modelmux.sock")
```
"""

from typing import Any

import anthropic
from typing_extensions import override

from modelmux.client.base_url import fill

_VARIABLES = ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY")


class Anthropic(anthropic.Anthropic):
    """`anthropic.Anthropic`, whose `base_url` may be `unix:/path` or `vsock:CID:PORT`."""

    @override
    def __init__(self, **options: Any) -> None:
        """Take what the SDK's class takes. Raises `ValueError` if the address is none."""
        fill(options, variables=_VARIABLES, path="", asynchronous=False)
        super().__init__(**options)


class AsyncAnthropic(anthropic.AsyncAnthropic):
    """`anthropic.AsyncAnthropic`, likewise."""

    @override
    def __init__(self, **options: Any) -> None:
        """Take what the SDK's class takes. Raises `ValueError` if the address is none."""
        fill(options, variables=_VARIABLES, path="", asynchronous=True)
        super().__init__(**options)
