"""Files and folders to documents: which, in what order, and that nothing in them changes."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.contexts.documents import MAX_FILE_BYTES, Skipped, decode
from app.contexts.sample import sample_context
from app.contexts.sources import collect
from app.prompt.context import Document

NOBODY = 65534
_COLLECT_AS_NOBODY = f"""
import os, sys
from pathlib import Path
from app.contexts.sources import collect
os.chdir(sys.argv[1])
if os.geteuid() == 0:
    os.setgid({NOBODY}); os.setuid({NOBODY})
found = collect([Path("docs")])
print([document.title for document in found.documents], sorted((one.title, one.reason) for one in found.skipped))
"""


def write(folder: Path, **files: str | bytes) -> Path:
    """`folder` with `files`; in their names, two underscores stand for a slash and one for a dot."""
    for name, content in files.items():
        put(folder, name.replace("__", "/").replace("_", "."), content)
    return folder


def put(folder: Path, name: str, content: str | bytes) -> None:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())


def titles(*paths: Path) -> list[str]:
    return [document.title for document in collect(paths).documents]


def skipped(*paths: Path) -> dict[str, str]:
    return {one.title: one.reason for one in collect(paths).skipped}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "docs"
    made.mkdir()
    return made


def test_a_folder_gives_its_files_sorted_and_titled_by_their_path(folder: Path) -> None:
    write(folder, b_txt="b", a__z_txt="z", a__b__c_txt="c", B_txt="B", _hidden="h")
    assert titles(folder) == ["docs/.hidden", "docs/B.txt", "docs/a/b/c.txt", "docs/a/z.txt", "docs/b.txt"]


def test_the_same_folder_gives_the_same_documents_whatever_order_they_were_made_in(tmp_path: Path) -> None:
    names = ["x.txt", "a/y.txt", "a.txt", "a-b/z.txt", "ä.txt"]
    for copy, order in (("one", names), ("two", names[::-1])):
        for name in order:
            put(tmp_path / copy / "docs", name, name)
    assert collect([tmp_path / "one" / "docs"]) == collect([tmp_path / "two" / "docs"])


def test_a_file_is_titled_by_its_name_and_paths_keep_the_order_they_were_named_in(folder: Path) -> None:
    write(folder, b_txt="b", a_txt="a", c__d_txt="d")
    assert titles(folder / "b.txt", folder / "c", folder / "a.txt") == ["b.txt", "c/d.txt", "a.txt"]


def test_what_is_named_twice_is_taken_once(folder: Path) -> None:
    write(folder, b_txt="b", a_txt="a")
    assert titles(folder / "b.txt", folder, folder) == ["b.txt", "docs/a.txt"]


def test_the_working_folder_is_titled_by_its_own_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, a_txt="a")
    monkeypatch.chdir(folder)
    assert titles(Path()) == ["docs/a.txt"]


def test_a_path_that_is_not_there_is_said(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no\.txt"):
        collect([folder / "no.txt"])
    with pytest.raises(OSError, match="too long"):
        collect([folder / ("x" * 300)])


@pytest.mark.parametrize(
    "content",
    [
        "\ufeffwith a BOM\n".encode(),
        b"CRLF\r\nand CR\rand LF\n\n",
        "e\u0301 is not \u00e9, \u2028 stays\n".encode(),
        b"no line end",
        b"   leading and trailing   \n\n\n",
    ],
)
def test_a_text_is_kept_byte_for_byte(folder: Path, content: bytes) -> None:
    put(folder, "a.txt", content)
    assert collect([folder]).documents == (Document("docs/a.txt", content.decode()),)


@given(st.binary(max_size=50))
def test_any_content_is_a_document_that_gives_it_back_or_is_named_with_a_reason(content: bytes) -> None:
    found = decode("a", content)
    if isinstance(found, Document):
        assert found.text.encode() == content
    else:
        assert found.title == "a"
        assert found.reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x89PNG\r\n\0", "binary"),
        ("utf-16".encode("utf-16"), "binary"),
        ("caf\xe9".encode("latin-1"), "not UTF-8 text (byte 3)"),
        (b"", "empty"),
        (b" \n\t\r\n", "empty"),
    ],
)
def test_what_is_no_text_is_left_out_and_named(folder: Path, content: bytes, reason: str) -> None:
    write(folder, a_txt="a")
    put(folder, "sub/odd.bin", content)
    assert titles(folder) == ["docs/a.txt"]
    assert skipped(folder) == {"docs/sub/odd.bin": reason}


def test_a_file_too_large_for_any_request_is_left_out_unread(folder: Path) -> None:
    with (folder / "huge.txt").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    assert skipped(folder) == {"docs/huge.txt": "larger than 32,000,000 bytes"}


def test_what_is_neither_file_nor_folder_is_left_out_and_named(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    assert skipped(folder) == {"docs/pipe": "not a file"}
    assert skipped(folder / "pipe", Path("/dev/null")) == {"pipe": "not a file", "null": "not a file"}


def test_links_are_not_followed(folder: Path, tmp_path: Path) -> None:
    write(folder, a_txt="a")
    put(tmp_path, "secret/key.txt", "secret")
    (folder / "out").symlink_to(tmp_path / "secret")
    (folder / "key.txt").symlink_to(tmp_path / "secret" / "key.txt")
    (folder / "circle").symlink_to(folder)
    (folder / "nowhere").symlink_to(folder / "nothing")
    assert titles(folder) == ["docs/a.txt"]


def test_a_link_that_is_named_itself_is_followed(folder: Path, tmp_path: Path) -> None:
    write(folder, a_txt="a")
    (tmp_path / "link").symlink_to(folder)
    assert [document.size for document in collect([tmp_path / "link"]).documents] == [1]


def test_names_may_be_odd_and_must_be_utf8(folder: Path) -> None:
    odd = ["with space.txt", 'quote".txt', "back\\slash.txt", "new\nline.txt", "ünï🎉.txt", "*[!].txt", "-rf"]
    for name in odd:
        put(folder, name, name)
    (folder / os.fsdecode(b"latin-\xe9.txt")).write_text("x")
    assert titles(folder) == sorted(f"docs/{name}" for name in odd)
    assert skipped(folder) == {"docs/latin-\\udce9.txt": "its name is not UTF-8"}


def test_what_may_not_be_read_is_left_out_and_named() -> None:
    """As a user without rights, in a folder that such a user can reach: for root nothing is unreadable."""
    with TemporaryDirectory() as made:
        folder = Path(made) / "docs"
        write(folder, a_txt="a", closed_txt="x", locked__b_txt="b", ruled___gitignore="*.log", ruled__c_txt="c")
        if os.geteuid() == 0:
            for path in (Path(made), *Path(made).rglob("*")):
                os.chown(path, NOBODY, NOBODY)
        for name in ("closed.txt", "locked", "ruled/.gitignore"):
            (folder / name).chmod(0)
        run = subprocess.run(
            [sys.executable, "-c", _COLLECT_AS_NOBODY, made], capture_output=True, text=True, check=False, timeout=60
        )
        (folder / "locked").chmod(0o700)
    denied = "Permission denied"
    expected = [("docs/closed.txt", denied), ("docs/locked/", denied), ("docs/ruled/", denied)]
    assert run.stdout == f"['docs/a.txt'] {expected}\n", run.stderr


def test_what_gitignore_files_exclude_is_left_out_unnamed(folder: Path) -> None:
    write(folder, _gitignore="*.log\nbuild/\n/top.txt\n", a_txt="a", a_log="x", build__b_txt="b", top_txt="t")
    write(folder, sub__top_txt="kept", sub__build="a file", sub__c_log="x")
    put(folder, ".git/config", "x")
    put(folder, "sub/.git", "gitdir: elsewhere")
    assert titles(folder) == ["docs/.gitignore", "docs/a.txt", "docs/sub/build", "docs/sub/top.txt"]
    assert skipped(folder) == {}


def test_what_may_hold_secrets_is_left_out_and_named_unless_it_is_named_itself(folder: Path) -> None:
    for name in (".env", "deploy/.env.production", "server.pem", "id_ed25519", ".env.example", "a.txt"):
        put(folder, name, "TOKEN=1")
    assert titles(folder) == ["docs/.env.example", "docs/a.txt"]
    reason = "may hold secrets; name the file itself to add it"
    found = ("docs/.env", "docs/deploy/.env.production", "docs/server.pem", "docs/id_ed25519")
    assert skipped(folder) == dict.fromkeys(found, reason)
    assert titles(folder / ".env") == [".env"]


def test_what_tools_installed_is_left_out_whole_and_named_unless_it_is_named_itself(folder: Path) -> None:
    for name in ("node_modules/left/index.js", "web/node_modules/a.js", "__pycache__/a.pyc", "env/lib/a.py", "out/a.d"):
        put(folder, name, "x")
    put(folder, "env/pyvenv.cfg", "home = /usr")
    put(folder, "out/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55")
    put(folder, "odd/node_modules", "a file of that name")
    put(folder, "venv/a.py", "a folder of that name, and no environment")
    assert titles(folder) == ["docs/odd/node_modules", "docs/venv/a.py"]
    found = ("docs/__pycache__/", "docs/env/", "docs/node_modules/", "docs/out/", "docs/web/node_modules/")
    assert skipped(folder) == dict.fromkeys(found, "dependencies or a tool’s cache; choose the folder itself to add it")
    assert titles(folder / "node_modules") == ["node_modules/left/index.js"]
    assert titles(folder / "env") == ["env/lib/a.py", "env/pyvenv.cfg"]
    put(folder, ".gitignore", "node_modules/\n")
    assert "docs/node_modules/" not in skipped(folder)


def test_the_deepest_gitignore_has_the_last_word(folder: Path) -> None:
    put(folder, ".gitignore", "*.log\n!keep.log\nsecret/\n")
    put(folder, "sub/.gitignore", "!*.log\nkeep.log\n")
    put(folder, "secret/.gitignore", "!*\n")
    for name in ("a.log", "keep.log", "sub/a.log", "sub/keep.log", "sub/deep/b.log", "secret/x.txt"):
        put(folder, name, name)
    found = ["docs/.gitignore", "docs/keep.log", "docs/sub/.gitignore", "docs/sub/a.log", "docs/sub/deep/b.log"]
    assert titles(folder) == found


_folders = st.lists(st.sampled_from(["a/", "b/"]), max_size=2).map("".join)
_paths = st.builds(str.__add__, _folders, st.sampled_from(["a", "b", "a.txt", "b.log", "keep.log"]))
_places = st.sampled_from(["", "", "/", "**/", "a/", "\\"])
_globs = st.sampled_from(["a", "b", "*", "*.log", "a*", "?", "[ab]", "keep.log", "**", "a.txt", "[!a]", "a\\.txt"])
_patterns = st.tuples(st.sampled_from(["", "", "!"]), _places, _globs, st.sampled_from(["", "", "/", "/*"])).map(
    "".join
)
_rules = st.lists(_patterns, min_size=1, max_size=4).map("\n".join)


@given(files=st.sets(_paths, min_size=1, max_size=6), rules=_rules)
@settings(max_examples=60)
def test_a_gitignore_file_means_what_it_means_to_git(
    tmp_path_factory: pytest.TempPathFactory, files: set[str], rules: str
) -> None:
    root = tmp_path_factory.mktemp("tree") / "docs"
    put(root, ".gitignore", rules)
    for name in sorted(files):
        # A path may run through what is a file already: then there is no such path.
        if not any((root / parent).is_file() for parent in Path(name).parents) and not (root / name).is_dir():
            put(root, name, "x")
    kept = {title.removeprefix("docs/") for title in titles(root)}
    assert kept == _kept_by_git(root)


def test_rules_of_a_repository_hold_for_folders_within_it_but_not_outside(tmp_path: Path) -> None:
    put(tmp_path, ".gitignore", "*.txt\n")
    repository = tmp_path / "repository"
    put(repository, ".git/config", "")
    put(repository, ".gitignore", "*.log\nbuild/\n")
    for name in ("a.txt", "a.log", "build/b.txt"):
        put(repository, f"docs/{name}", name)
    assert titles(repository / "docs") == ["docs/a.txt"]
    # Whoever names an excluded folder means it.
    assert titles(repository / "docs" / "build") == ["build/b.txt"]


def _kept_by_git(root: Path) -> set[str]:
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    environment["HOME"] = str(root)
    if not (root / ".git").exists():
        subprocess.run(["git", "init", "-q", str(root)], env=environment, check=True, timeout=30)
    listing = ["git", "-C", str(root), "ls-files", "-z", "--others", "--exclude-standard"]
    answer = subprocess.run(listing, env=environment, check=True, capture_output=True, timeout=30)
    return {name for name in answer.stdout.decode().split("\0") if name}


def test_the_sample_is_the_interpreters_own_asyncio() -> None:
    context = sample_context("claude-sonnet-5-5")
    package = Path(asyncio.__file__).parent
    modules = sorted(package.glob("*.py"), key=lambda path: path.name)
    texts = [document for document in context.documents if isinstance(document, Document)]
    assert {document.title: document.text.encode() for document in texts} == {
        f"asyncio/{module.name}": module.read_bytes() for module in modules
    }
    assert [document.title for document in context.documents] == [f"asyncio/{module.name}" for module in modules]
    if sys.version_info[:2] == (3, 11):
        assert len(context.documents) == 33
        assert 440_000 < context.size < 540_000
    assert context.parameters.model == "claude-sonnet-5-5"
    assert sample_context("claude-sonnet-5-5").id == context.id


def test_skipped_files_are_told_with_their_reason() -> None:
    assert decode("logo.png", b"\0") == Skipped("logo.png", "binary")
