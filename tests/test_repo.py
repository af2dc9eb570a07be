"""The repository as people and machines get it: documents that are current, pins that are pins, an image that runs."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from app.processes import redis_server
from app.settings import Settings, variable
from app.upstream.errors import UpstreamCode
from app.web.codes import CODES
from app.web.guards import MAX_BODY_BYTES, MAX_CONTEXT_BYTES
from tests.balancer import NGINX_CONF
from tests.client import Client
from tests.commands import children
from tests.running import Process, free_port, until

ROOT = Path(__file__).resolve().parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
DOCKERFILE = [
    line.split(maxsplit=1)
    for line in re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text()).splitlines()
    if line and not line.startswith("#")
]


def tracked() -> list[Path]:
    """The files that git has, as far as they are still there."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, timeout=30)
    files = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    return [file for file in files if file.is_file()]


def texts() -> Iterator[tuple[str, str]]:
    for file in tracked():
        raw = file.read_bytes()
        if b"\0" not in raw:
            yield file.relative_to(ROOT).as_posix(), raw.decode()


def instructions(kind: str) -> list[str]:
    return [rest for name, rest in DOCKERFILE if name == kind]


def test_the_readmes_table_of_settings_is_current() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "app.settings"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()
    between = re.search("<!-- settings -->\n(.*?)\n<!-- /settings -->", (ROOT / "README.md").read_text(), re.S)
    assert between is not None, "README.md has no table of settings"
    assert between[1].strip() == printed


# In pieces, so that this file is none of those that it looks for.
_HOSTS = [
    "py" + "pi.",
    "python" + "hosted.",
    "npm" + "js.",
    "crates" + ".io",
    "proxy.golang" + ".org",
    "index" + "-url",
]
_MACHINE = re.compile(r"(?<![\w.$}/-])/(?:" + "|".join(["wo" + "rk", "ro" + "ot", "ho" + "me", "Us" + "ers"]) + r")/\w")


def test_no_file_names_a_package_registry_or_a_path_of_the_machine_it_was_written_on() -> None:
    found = [
        f"{name}: {line.strip()[:100]}"
        for name, text in texts()
        for line in text.splitlines()
        if any(host in line for host in _HOSTS) or _MACHINE.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("name", sorted(path.name for path in ROOT.glob("requirements*.txt")))
def test_requirements_are_plain_pins(name: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith(("#", "-r requirements"))]
    assert [pin for pin in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", pin)] == []
    packages = [re.sub("[-_.]+", "-", pin.partition("==")[0]).lower() for pin in pins]
    assert len(set(packages)) == len(packages)


def test_what_is_installed_is_what_is_pinned() -> None:
    from importlib.metadata import version

    pins = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert [pin for pin in pins if version(pin.partition("==")[0]) != pin.partition("==")[2]] == []


def test_the_build_tool_is_pinned_as_in_the_requirements() -> None:
    import tomllib

    (needed,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert needed in (ROOT / "requirements.txt").read_text().splitlines()


def test_secrets_stay_out_of_git_and_of_the_image() -> None:
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()
    assert {".env", ".git"} <= set((ROOT / ".dockerignore").read_text().splitlines())
    assert ".env" not in [file.name for file in tracked()]
    for name in ("docker-compose.yml", "Dockerfile", ".env.example"):
        text = (ROOT / name).read_text()
        assert not re.search(r"API_KEY[=:] *[^\s$#]", text), name
        assert "sk-" not in text


def test_everything_of_the_image_is_pinned_and_installed_from_the_requirements() -> None:
    images = [rest.split()[0] for rest in instructions("FROM")]
    assert all(re.fullmatch(r"python:3\.11\.\d+-slim-\w+", image) for image in images)
    steps = [step for step in instructions("RUN") if "pip install" in step]
    assert len(steps) == 2
    assert "-r requirements.txt" in steps[0]
    assert "--no-deps" in steps[1] and "--no-build-isolation" in steps[1]


def test_the_image_runs_as_nobody_in_particular_and_says_how_it_is() -> None:
    user = instructions("USER")[-1]
    assert user not in ("root", "0")
    (made,) = [step for step in instructions("RUN") if "useradd" in step]
    assert user in made.split() and int(re.findall(r"--uid (\d+)", made)[0]) > 0
    names = [name for name, _ in DOCKERFILE]
    assert names.index("USER") > max(place for place, name in enumerate(names) if name in ("COPY", "RUN"))
    assert "/readyz" in instructions("HEALTHCHECK")[0]


def test_compose_starts_an_app_that_can_write_nowhere_but_where_it_must() -> None:
    app = COMPOSE["services"]["app"]
    assert (app["build"], app["read_only"], app["cap_drop"]) == (".", True, ["ALL"])
    assert "no-new-privileges:true" in app["security_opt"]
    assert "user" not in app or app["user"] not in ("root", "0", "0:0")
    assert app["tmpfs"] == ["/tmp"]
    assert "/readyz" in " ".join(app["healthcheck"]["test"])
    assert app["depends_on"]["redis"]["condition"] == "service_healthy"
    assert app["env_file"] == [{"path": ".env", "required": False}]
    assert "ports" not in app
    assert app["environment"]["HEADSTART_REDIS_URL"].startswith("redis://redis:")


def test_compose_has_one_door_and_any_number_of_servers_behind_it() -> None:
    proxy, app = COMPOSE["services"]["proxy"], COMPOSE["services"]["app"]
    assert [name for name, service in COMPOSE["services"].items() if "ports" in service] == ["proxy"]
    assert proxy["ports"] == ["127.0.0.1:8000:8080"] and "listen 8080;" in NGINX_CONF.read_text()
    assert re.fullmatch(r"nginx:\d+\.\d+\.\d+-alpine", proxy["image"])
    assert (proxy["read_only"], proxy["cap_drop"], proxy["tmpfs"]) == (True, ["ALL"], ["/tmp"])
    assert proxy["user"] not in ("root", "0", "0:0")
    assert "no-new-privileges:true" in proxy["security_opt"]
    assert proxy["volumes"] == ["./deploy/nginx.conf:/etc/nginx/nginx.conf:ro"]
    assert proxy["depends_on"]["app"]["condition"] == "service_healthy"
    # Nothing that would tie the service to one container.
    assert not {"container_name", "hostname", "network_mode"} & app.keys()
    assert f"http://$servers:{app['environment']['HEADSTART_PORT']};" in NGINX_CONF.read_text()


def test_a_container_is_given_longer_than_its_answers_are() -> None:
    grace = COMPOSE["services"]["app"]["stop_grace_period"]
    assert int(grace.removesuffix("s")) >= Settings.model_fields["drain_s"].default + 5


def test_the_proxy_lets_through_whatever_the_server_takes_and_waits_for_as_long_as_it_does() -> None:
    said = dict(re.findall(r"^\s*(\w+) ([^;]+);", NGINX_CONF.read_text(), re.M))
    assert int(said["client_max_body_size"].removesuffix("m")) * 2**20 > max(MAX_CONTEXT_BYTES, MAX_BODY_BYTES)
    assert float(said["proxy_read_timeout"].removesuffix("s")) > Settings.model_fields["upstream_timeout_s"].default
    assert said["proxy_buffering"] == "off"
    assert "non_idempotent" not in said["proxy_next_upstream"]


def test_compose_starts_a_redis_that_keeps_what_it_is_given() -> None:
    redis = COMPOSE["services"]["redis"]
    assert re.fullmatch(r"redis:\d+\.\d+\.\d+-\w+", redis["image"])
    command = redis["command"]
    assert command[command.index("--appendonly") + 1] == "yes"
    assert redis["read_only"] is True
    assert redis["healthcheck"]["test"]
    assert "ports" not in redis
    volumes = [volume for service in COMPOSE["services"].values() for volume in service["volumes"]]
    named = [volume for volume in volumes if not volume.startswith("./")]
    assert {volume.partition(":")[0] for volume in named} == COMPOSE["volumes"].keys()
    assert all(":/data" in volume for volume in named)


def copied_into_the_image(image: Path) -> None:
    """What the Dockerfile copies, as it lies in the image's working folder."""
    for rest in instructions("COPY"):
        *sources, target = rest.split()
        if sources[0].startswith("--from"):
            continue
        for source in sources:
            place = image / (target.removeprefix("/headstart/") if target != "./" else source)
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
            copy(ROOT / source, place)


@contextmanager
def redis_over_tcp(folder: Path) -> Iterator[int]:
    """The Redis of the compose file, on a port of this machine."""
    port = free_port()
    command = [redis_server(), *COMPOSE["services"]["redis"]["command"][1:], "--port", str(port)]
    command += ["--bind", "127.0.0.1", "--dir", str(folder), "--logfile", str(folder / "redis.log")]
    running = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        yield port
    finally:
        running.terminate()
        running.wait(30)


@contextmanager
def contained(image: Path, data: Path, redis_port: int) -> Iterator[Process]:
    """The image's command in a copy of its files, with the environment that the Dockerfile and compose give it."""
    given = dict(pair.split("=", 1) for pair in instructions("ENV")[0].split())
    given |= COMPOSE["services"]["app"]["environment"]
    given |= {"PATH": os.environ["PATH"], "XDG_DATA_HOME": str(data), "HOME": str(data)}
    given |= {"HEADSTART_HOST": "127.0.0.1", "HEADSTART_PORT": str(free_port())}
    given["HEADSTART_SANDBOX_SPEED"] = "10000"
    given["HEADSTART_REDIS_URL"] = f"redis://127.0.0.1:{redis_port}/0"
    entry, command = json.loads(instructions("ENTRYPOINT")[0]), json.loads(instructions("CMD")[0])
    assert entry == ["headstart"]
    log = data / "log"
    with log.open("wb") as output:
        running = subprocess.Popen(
            [sys.executable, "-m", "app.cli", *command], cwd=image, env=given, stdout=output, stderr=output
        )
    try:
        yield Process(running, log, int(given["HEADSTART_PORT"]))
    finally:
        running.terminate()
        running.wait(30)


def test_what_the_image_runs_answers_over_a_redis_of_its_own_and_writes_nothing_beside(tmp_path: Path) -> None:
    image, data = tmp_path / "headstart", tmp_path / "data"
    image.mkdir()
    data.mkdir()
    copied_into_the_image(image)
    for cache in image.rglob("__pycache__"):
        shutil.rmtree(cache)
    before = sorted(image.rglob("*"))
    with redis_over_tcp(data) as port, contained(image, data, port) as running:
        running.wait_ready()
        assert set(children(running.popen.pid)) == {"sandbox"}
        probe = re.sub("127.0.0.1:8000", running.url.removeprefix("http://"), instructions("HEALTHCHECK")[0])
        check = json.loads(probe.partition("CMD ")[2])
        assert subprocess.run([sys.executable, *check[1:]], check=False, timeout=20).returncode == 0
        with httpx2.Client(base_url=running.url, timeout=60) as http:
            page = http.get("/")
            assert page.status_code == 200
            assets = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text))
            assert assets and {http.get(asset).status_code for asset in assets} == {200}
            user = Client(http)
            user.add_context()
            assert user.ask(user.start()["session"], "Why?")[-1].name == "verdict"
        running.popen.send_signal(signal.SIGTERM)
        until(lambda: running.popen.poll() is not None, "the end")
    assert sorted(image.rglob("*")) == before


def test_ci_runs_the_tests_with_everything_required() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    text = script.read_text()
    assert re.findall(r"HEADSTART_TEST_REQUIRE=(\S+) make test", text) == ["browser,nginx,openssl"]
    assert all(package in text for package in ("redis-server", "chromium", "nginx-light", "openssl"))


def test_every_problem_code_has_its_place_on_the_page_about_the_api() -> None:
    sources = [path.read_text() for folder in ("app/web", "app/turns") for path in (ROOT / folder).glob("*.py")]
    raised = {code for source in sources for code in re.findall(r"Problem\(\s*\d{3},\s*\"(\w+)\"", source)}
    raised |= {
        code for source in sources for code in re.findall(r"problem\(\s*\"[^\"]+\",\s*\d{3},\s*\"(\w+)\"", source)
    }
    raised |= {"context_not_found", "session_not_found", "turn_not_found", "context_too_large", "session_too_large"}
    assert len(raised) > 12
    assert raised | {code.value for code in UpstreamCode} <= set(CODES)


def test_what_the_page_about_operations_names_is_there() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    known = {variable(name) for name in Settings.model_fields}
    named = set(re.findall(r"`(HEADSTART_[A-Z_]+)(?=[`=])", text))
    assert named and named <= known
    tests = re.findall(r"`((?:\w+/)?test_\w+\.py)`", text)
    assert tests and [name for name in tests if not (ROOT / "tests" / name.removeprefix("tests/")).is_file()] == []
    benches = re.findall(r"bench\.(\w+)`", text)
    assert benches and [name for name in benches if not (ROOT / "bench" / f"{name}.py").is_file()] == []
    links = re.findall(r"\]\(([^)#:]+)", text)
    assert [link for link in links if not (ROOT / "docs" / link).is_file()] == []
