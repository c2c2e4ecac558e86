"""Tests of the service: skipped, with the reason, where what it needs is not installed."""

import pytest

for needed in ("fastapi", "orjson", "PIL", "prometheus_client", "python_multipart", "requests", "uvicorn", "httptools"):
    pytest.importorskip(needed, reason=f"{needed} is not installed; pip install 'minidl[serve]'")
