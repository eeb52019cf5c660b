"""For programs that ask a gateway: HTTP transports that reach it without a network.

```python
import httpx2
from modelmux.client import http_transport

transport = http_transport("unix:/run/modelmux/modelmux.sock")
client = httpx2.Client(transport=transport, base_url="http://modelmux")
```

`modelmux.client.openai` and `modelmux.client.anthropic` have the SDKs' own classes, which take such
addresses as `base_url`. Nothing else of the package is imported by any of these.
"""

from modelmux.client.transport import async_http_transport, http_transport

__all__ = ["async_http_transport", "http_transport"]
