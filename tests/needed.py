"""Programs that tests need and a developer's machine may lack: their tests are skipped there, unless the environment's
HEADSTART_TEST_REQUIRE names the program: then they fail."""

import os
import shutil

import pytest

# Where Debian puts nginx, it is not on everybody's path.
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
OPENSSL = shutil.which("openssl")


def required(name: str) -> bool:
    """Whether tests that need `name` may not be left out."""
    return name in os.environ.get("HEADSTART_TEST_REQUIRE", "").replace(",", " ").split()


def _needs(name: str, path: str | None) -> pytest.MarkDecorator:
    return pytest.mark.skipif(path is None and not required(name), reason=f"no {name} here")


needs_nginx = _needs("nginx", NGINX)
needs_openssl = _needs("openssl", OPENSSL)
