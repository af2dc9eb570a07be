"""The pages, before anybody has asked for one."""

import subprocess
import sys


def test_the_chat_is_compiled_before_its_first_reader_comes() -> None:
    code = "from app.web.templates import templates; print(*(name for _, name in templates.env.cache))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert {"base.html", "chat.html"} <= set(ran.stdout.split())
