"""The sandbox, as the oracle that tells what a request reads and writes."""

from app.sandbox.testing import sandbox, sandbox_session

__all__ = ["sandbox", "sandbox_session"]
