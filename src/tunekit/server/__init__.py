"""OpenAI's fine-tuning API in front of any backend, as an ASGI application. Needs the extra `server`.

```python
app = create_app({"gpt-4.1-mini": "local:Qwen/Qwen3-0.6B"}, keys={"sk-...": "support"})
```

A host mounts it in its own application, or `tunekit serve` runs it alone. See the guide "Serve OpenAI's dialect".
"""

from __future__ import annotations

from tunekit.errors import MissingExtraError

try:
    import python_multipart  # noqa: F401 - only whether it is there
    import starlette  # noqa: F401
except ImportError as error:
    raise MissingExtraError(error.name or "starlette", extra="server") from error

from tunekit.server.app import create_app
from tunekit.server.keys import Keys, add_key, hashed, new_key, read_keys
from tunekit.server.limits import Limits
from tunekit.server.service import Served
from tunekit.server.webhooks import Webhook

__all__ = [
    "Keys",
    "Limits",
    "Served",
    "Webhook",
    "add_key",
    "create_app",
    "hashed",
    "new_key",
    "read_keys",
]
