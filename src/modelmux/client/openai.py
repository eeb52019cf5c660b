"""OpenAI's SDK, which takes a socket's address for a base URL.

```python
from modelmux.client.openai import OpenAI

client = OpenAI(base_url="unix:/run/modelmux/modelmux.sock")
```
"""

from typing import Any

import openai
from typing_extensions import override

from modelmux.client.base_url import fill

_VARIABLES = ("OPENAI_BASE_URL", "OPENAI_API_KEY")


class OpenAI(openai.OpenAI):
    """`openai.OpenAI`, whose `base_url` may be `unix:/path`, `unix:@name` or `vsock:CID:PORT`."""

    @override
    def __init__(self, **options: Any) -> None:
        """Take what the SDK's class takes. Raises `ValueError` if the address is none."""
        fill(options, variables=_VARIABLES, path="/v1", asynchronous=False)
        super().__init__(**options)


class AsyncOpenAI(openai.AsyncOpenAI):
    """`openai.AsyncOpenAI`, likewise."""

    @override
    def __init__(self, **options: Any) -> None:
        """Take what the SDK's class takes. Raises `ValueError` if the address is none."""
        fill(options, variables=_VARIABLES, path="/v1", asynchronous=True)
        super().__init__(**options)
