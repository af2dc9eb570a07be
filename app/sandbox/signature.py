"""Signatures of thinking blocks: opaque to the caller, verified without any stored state. A signature carries the
thought, whether its text was shown, and the digest of the history it followed, sealed with a fixed key of the
sandbox's own. It protects nothing: it lets the sandbox refuse what the API would refuse."""

import hmac
from base64 import b64decode, b64encode
from hashlib import sha256

_KEY = b"headstart sandbox: not a secret"
_SEAL = 32
_BINDING = 16


def sign(thought: str, *, shown: bool, binding: bytes) -> str:
    payload = bytes([shown]) + binding + thought.encode()
    return b64encode(hmac.digest(_KEY, payload, sha256) + payload).decode()


def opened(signature: str) -> tuple[str, bool, bytes] | None:
    """(thought, whether its text was shown, binding), or None when the signature was not made here."""
    try:
        raw = b64decode(signature, validate=True)
    except ValueError:
        return None
    seal, payload = raw[:_SEAL], raw[_SEAL:]
    if len(payload) <= _BINDING or not hmac.compare_digest(seal, hmac.digest(_KEY, payload, sha256)):
        return None
    return payload[1 + _BINDING :].decode(), payload[0] == 1, payload[1 : 1 + _BINDING]


def thought(signature: str) -> str:
    """The sealed thought, empty when the signature is not ours."""
    found = opened(signature)
    return found[0] if found else ""
