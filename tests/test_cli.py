"""The command line as its users have it: help that needs no manual, contexts by hand, and refusals in one line."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.cli import main
from tests.commands import Finished, headstart


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Finished]:
    """`headstart ARGUMENTS`, its data in a folder of the test's own."""
    return lambda *arguments, **environment: headstart(*arguments, home=tmp_path, **environment)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """This process as one that was started in an empty home, to run commands in it that end at once."""
    before = signal.getsignal(signal.SIGTERM)
    for name in [name for name in os.environ if name.startswith(("ANTHROPIC_", "HEADSTART_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.chdir(tmp_path)
    yield monkeypatch
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        ([], ["serve", "sandbox", "contexts", "doctor", ".env", "--version"]),
        (["serve"], ["ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "HEADSTART_REDIS_URL", "--port", "8000", "--host"]),
        (["serve"], ["127.0.0.1", "Ctrl-C", "sandbox", "embedded Redis"]),
        (["sandbox"], ["--port", "9000", "--speed", "--profile", "--control", "ANTHROPIC_BASE_URL", "Any key"]),
        (["contexts"], ["add", "list", "show", "rm"]),
        (["contexts", "add"], ["NAME", "PATH", ".gitignore", "binary", "replaced", "--instructions", "--model"]),
        (["contexts", "add"], ["--max-tokens", "--thinking", "--effort", "--ttl", "1h", "HEADSTART_MODEL"]),
        (["contexts", "list"], ["List"]),
        (["contexts", "show"], ["NAME", "name or id"]),
        (["contexts", "rm"], ["NAME", "no longer ask"]),
        (["doctor"], ["settings", "Redis", "key", "no cost", "Exit status 1"]),
    ],
)
def test_help_says_what_is_needed(arguments: list[str], needed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--help"])
    assert ended.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert [word for word in needed if word not in said] == []


def test_every_command_is_listed_with_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    commands = capsys.readouterr().out.partition("commands:\n")[2].partition("\n\n")[0].split("\n")
    found = [line.split(maxsplit=1) for line in commands if line.startswith("    ") and line[4] != " "]
    assert {"serve", "sandbox", "contexts", "doctor"} <= {name for name, *_ in found}
    for name, *_ in found:
        with pytest.raises(SystemExit) as ended:
            main([name, "--help"])
        assert ended.value.code == 0
        assert "usage: headstart " + name in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [[], ["contexts"], ["contexts", "add", "only-a-name"], ["nonsense"], ["serve", "x"]]
)
def test_a_command_that_is_not_whole_is_answered_with_its_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: headstart")


def test_contexts_are_added_listed_shown_replaced_and_removed(run: Callable[..., Finished], tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    (docs / "sub").mkdir(parents=True)
    (docs / ".gitignore").write_text("*.log\n")
    (docs / "a.txt").write_text("Alpha, of 2026-11-21.\n")
    (docs / "sub" / "ü.md").write_bytes("# Ünïcode\r\n".encode())
    (docs / "noise.log").write_text("noise")
    (docs / "logo.png").write_bytes(b"\x89PNG\0")

    assert run("contexts", "list").lines == []
    options = ["--instructions", "Be brief.", "--ttl", "1h", "--effort", "low", "--max-tokens", "500", "--citations"]
    added = run("contexts", "add", "handbook", str(docs), *options)
    assert added.code == 0
    skipped, warned, line = added.lines
    assert skipped == "left out: docs/logo.png (binary)"
    assert "document “docs/a.txt”, line 1" in warned and "2026-11-21" in warned
    assert line.startswith("added handbook  claude-sonnet-5-5  3 documents, ")

    (listed,) = run("contexts", "list").lines
    assert listed == line.removeprefix("added ")
    identity = listed.split()[-1]
    for reference in ("handbook", identity):
        shown = run("contexts", "show", reference).lines
        parameters = "max_tokens 500, thinking default, effort low, ttl 1h, citations on"
        assert shown[:3] == [listed, parameters, "instructions: Be brief."]
        assert [row.split(maxsplit=1)[1] for row in shown[4:]] == ["docs/.gitignore", "docs/a.txt", "docs/sub/ü.md"]

    replaced = run("contexts", "add", "handbook", str(docs / "a.txt"), "--model", "claude-opus-5-5")
    assert replaced.lines[-1].startswith("replaced handbook  claude-opus-5-5  1 documents")
    assert (
        run("contexts", "add", "copy", str(docs / "a.txt"), "--model", "claude-opus-5-5")
        .lines[-1]
        .startswith("added copy ")
    )
    assert run("contexts", "rm", "handbook").lines == ["removed handbook"]
    assert [row.split()[0] for row in run("contexts", "list").lines] == ["copy"]
    missing = run("contexts", "rm", "handbook")
    assert (missing.code, missing.lines) == (1, ["headstart: there is no context “handbook”; there are: copy"])


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (["contexts", "add", "x", "nowhere"], {}, ["nowhere", "No such file"]),
        (["contexts", "add", "x", "a" * 300], {}, ["too long"]),
        (["contexts", "add", "x", "/dev/null"], {}, ["no text file"]),
        (["contexts", "add", " ", "."], {}, ["name", "empty"]),
        (["contexts", "add", b"caf\xe9", "."], {}, ["name", "character 3"]),
        (["contexts", "add", "x", ".", "--model", b"\xff"], {}, ["model"]),
        (["contexts", "add", "x", "a.txt", "--max-tokens", "0"], {}, ["max_tokens", "at least 1"]),
        (["contexts", "add", "x", "a.txt", "--thinking", "disabled"], {}, ["claude-sonnet-5-5", "thinking"]),
        (["contexts", "add", "x", "a.txt", "--instructions", " "], {}, ["instructions"]),
        (["contexts", "show", "x"], {}, ["no context “x”", "there are: none"]),
        (["contexts", "list"], {"HEADSTART_REDIS_URL": "nonsense"}, ["HEADSTART_REDIS_URL"]),
        (["contexts", "list"], {"HEADSTART_REDIS_URL": "redis://localhost:port"}, ["HEADSTART_REDIS_URL"]),
        (["contexts", "list"], {"HEADSTART_REDIS_URL": "redis://127.0.0.1:1"}, ["Redis is away"]),
        (["contexts", "list"], {"HEADSTART_DATA_DIR": "/dev/null/data"}, ["HEADSTART_DATA_DIR", "/dev/null/data"]),
        (["serve"], {"HEADSTART_PORT": "many"}, ["HEADSTART_PORT", "integer"]),
        (["serve"], {"HEADSTART_PORT": "99999"}, ["HEADSTART_PORT"]),
        (["serve"], {"HEADSTART_SANDBOX_SPEED": "nan"}, ["HEADSTART_SANDBOX_SPEED"]),
        (["serve"], {"HEADSTART_SANDBOX": "perhaps"}, ["HEADSTART_SANDBOX", "auto"]),
        (["serve"], {"HEADSTART_LOG_LEVEL": "loud"}, ["HEADSTART_LOG_LEVEL"]),
        (["serve"], {"ANTHROPIC_BASE_URL": "http://[nonsense"}, ["ANTHROPIC_BASE_URL"]),
        (["serve"], {"ANTHROPIC_BASE_URL": "example.org"}, ["ANTHROPIC_BASE_URL"]),
        (["serve", "--host", "no such host", "--port", "0"], {}, ["no such host", "another with --host"]),
        (["serve"], {"HEADSTART_HOST": "999.1.1.1"}, ["999.1.1.1", "--host or HEADSTART_HOST"]),
        (["serve"], {"HEADSTART_HOST": "192.0.2.1"}, ["192.0.2.1", "--host or HEADSTART_HOST"]),
        (["sandbox", "--host", "192.0.2.1"], {}, ["192.0.2.1", "another --host"]),
        (["sandbox", "--speed", "0"], {}, ["speed"]),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_said_in_one_line_with_status_1(
    home: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str | bytes],
    environment: dict[str, str],
    said: list[str],
) -> None:
    Path("a.txt").write_text("Alpha.")
    for name, value in environment.items():
        home.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        main([os.fsdecode(argument) for argument in arguments])
    assert ended.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("headstart: ")
    assert [word for word in said if word not in line] == []


@pytest.mark.parametrize(
    "arguments", [["serve", "--port", "x"], ["sandbox", "--port", "65536"], ["serve", "--port", "-1"]]
)
def test_a_port_that_is_none_is_a_wrong_use(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "port" in capsys.readouterr().err


@pytest.mark.usefixtures("home")
def test_a_path_that_is_empty_is_not_the_current_folder(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.txt").write_text("Alpha.")
    with pytest.raises(SystemExit) as ended:
        main(["contexts", "add", "x", "a.txt", ""])
    assert ended.value.code == 2
    assert "PATH: the path is empty" in capsys.readouterr().err


def test_a_dotenv_file_is_read_and_a_broken_one_is_said(run: Callable[..., Finished], tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("HEADSTART_PORT=many\n")
    assert "HEADSTART_PORT" in run("serve").lines[-1]
    (tmp_path / ".env").write_bytes("HEADSTART_MODEL=café\n".encode("latin-1"))
    ended = run("contexts", "list")
    assert (ended.code, ended.lines) == (1, ["headstart: .env is not UTF-8 text"])


@pytest.mark.parametrize("arguments", [["doctor"], ["serve", "--host", "no such host"]])
def test_a_misspelt_setting_is_said_in_one_line_without_its_value(
    run: Callable[..., Finished], tmp_path: Path, arguments: list[str]
) -> None:
    (tmp_path / ".env").write_text("headstart_usd_perday=31415\nHEADSTART_HOST=\nHEADSTART_NOTHING_AT_ALL=31415\n")
    others = {
        **{"HEADSTART_ADMINKEY": "31415", "HEADSTART_TEST_REQUIRE": "browser", "HEADSTART_SCREENSHOT": "x.png"},
        **{"headstart_usd_per_day": "3", "HEADSTART_ANTHROPIC_API_KEY": "", "HEADSTART_OLD": "", "OTHER": "31415"},
        **{"HEADSTART_REDIS_SERVICE_HOST": "10.0.0.1", "HEADSTART_REDIS_PORT_6379_TCP_ADDR": "10.0.0.1"},
    }
    ended = run(*arguments, **others)
    (line,) = [line for line in ended.lines if "without effect" in line]
    assert line.partition("effect: ")[2] == (
        "HEADSTART_ADMINKEY (did you mean HEADSTART_ADMIN_KEY?), HEADSTART_NOTHING_AT_ALL, "
        "HEADSTART_USD_PERDAY (did you mean HEADSTART_USD_PER_DAY?)"
    )
    assert "warning" in line.lower()
    assert "31415" not in ended.text


def test_a_data_folder_may_be_relative_and_oddly_named(run: Callable[..., Finished], tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Alpha.")
    for name in ("data", "with space, \"quote\" and 'ünï'", "deep/" + "x" * 150):
        assert run("contexts", "add", "x", "a.txt", HEADSTART_DATA_DIR=name).code == 0
        assert (tmp_path / name / "redis.log").exists()
    assert [line.split()[0] for line in run("contexts", "list", HEADSTART_DATA_DIR=name).lines] == ["x"]
    assert run("contexts", "list").lines == []


def test_the_doctor_says_what_it_found(run: Callable[..., Finished]) -> None:
    well = run("doctor")
    assert well.code == 0
    assert all(line.startswith("ok  ") for line in well.lines)
    assert ["model" in well.text, "Sandbox" in well.text, "redis-server" in well.text] == [True] * 3
    ill = run(
        "doctor",
        ANTHROPIC_BASE_URL="http://127.0.0.1:1",
        ANTHROPIC_API_KEY="sk-1",
        HEADSTART_REDIS_URL="redis://127.0.0.1:1",
    )
    assert ill.code == 1
    wrong = [line for line in ill.lines if line.startswith("!! ")]
    assert len(wrong) == 2 and "upstream" in wrong[0] and "Redis" in wrong[1]
    assert "Traceback" not in ill.text


def test_the_version_is_said(run: Callable[..., Finished]) -> None:
    ended = run("--version")
    assert (ended.code, ended.text.split()[0]) == (0, "headstart")
