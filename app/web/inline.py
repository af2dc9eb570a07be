"""What stands in a page itself instead of being fetched, so that its first frame waits for nothing but the page: one
stylesheet, and the chat page's first script. The policy names them by their hashes, and nothing else that stands in a page.
"""

import base64
import hashlib
from pathlib import Path

_STATIC = Path(__file__).resolve().parents[2] / "static"

BASE_CSS = (_STATIC / "css" / "base.css").read_text()
# Of a file that is passed on.
EXPORT_CSS = "".join((_STATIC / "css" / name).read_text() for name in ("prose.css", "export.css"))
BOOT_JS = (_STATIC / "js" / "boot.js").read_text()


def source_of(text: str) -> str:
    """How a policy allows `text` in a page."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def element(name: str, text: str) -> str:
    """`text`, which is ours, as the whole content of a `style` or `script`."""
    if f"</{name}" in text.lower():
        raise ValueError(f"it ends its own {name} element")
    return f"<{name}>{text}</{name}>"
