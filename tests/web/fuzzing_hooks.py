"""What schemathesis is not to send, as it would misjudge the answer. It loads this itself (test_fuzzing.toml)."""

from typing import Any

import schemathesis


@schemathesis.hook
def filter_case(_: schemathesis.HookContext, case: schemathesis.Case[Any]) -> bool:
    """Whether `case` is sent: not a form whose fields are no texts. Sent they are, and so what was to be wrong is right."""
    form = case.body if (case.media_type or "").startswith("multipart/") else None
    if not isinstance(form, dict):
        return True
    return all(isinstance(value, str) for name, value in form.items() if name != "files")
