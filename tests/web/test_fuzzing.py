"""Whatever is sent, the API answers as its OpenAPI document says: schemathesis calls every route with what the document
allows and with what it does not, alone and one after another, and holds every answer against the document.

HEADSTART_TEST_EXAMPLES says how many calls a route gets in each of its phases; `make soak` asks for many, and for others
each time.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from app.contexts.fetching import Fetcher
from tests.recorder import recording
from tests.running import RedisProcess, serving

EXAMPLES = int(os.environ.get("HEADSTART_TEST_EXAMPLES", "20"))
NEW = ("--generation-database", "none")
CHOICE = NEW if "HEADSTART_TEST_EXAMPLES" in os.environ else ("--generation-deterministic",)


async def _look_up(_: str) -> list[str]:
    raise OSError("no name has an address here")


# URLs of all kinds are asked for, and nothing is to be fetched from the world.
NOWHERE = Fetcher(permit=lambda _: False, lookup=_look_up)


@pytest.mark.timeout(60 + 10 * EXAMPLES)
def test_every_answer_is_as_the_document_says(redis: RedisProcess, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(Path(__file__).with_suffix(".toml"))]
    command += ["run", "--no-color", "--max-examples", str(EXAMPLES), *CHOICE]
    with recording() as upstream, serving(redis.url, upstream.url, fetcher=NOWHERE) as url:
        # Everything is one owner's, so that what one call makes another finds.
        (owner,) = httpx2.get(f"{url}/api/contexts").cookies.items()
        command += ["--header", f"Cookie: {'='.join(owner)}", f"{url}/openapi.json"]
        ran = subprocess.run(
            command,
            cwd=tmp_path,
            # Where it finds its hooks.
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"Selected: (\d+)/\1\n\s*Tested: \1\n", ran.stdout), ran.stdout
