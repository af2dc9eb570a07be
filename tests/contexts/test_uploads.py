"""What is uploaded becomes what the same folder on disk would become; what cannot is named with its reason."""

import os
import struct
import zipfile
from io import BytesIO
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.contexts.archive import MAX_ENTRIES
from app.contexts.documents import Collected
from app.contexts.parsing import TOO_LONG, count_pages
from app.contexts.sift import TooManyRules, clean, sift
from app.contexts.sources import collect
from app.contexts.uploads import collect_uploaded
from app.prompt.context import Document, Pdf
from tests.pdfs import locked_pdf, pdf


def titles(collected: Collected) -> list[str]:
    return [document.title for document in collected.documents]


def skipped(collected: Collected) -> dict[str, str]:
    return {one.title: one.reason for one in collected.skipped}


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


TREE = {
    "docs/.gitignore": b"*.log\nbuild/\n",
    "docs/a.txt": b"alpha",
    "docs/a.log": b"log",
    "docs/a/b.txt": b"beta",
    "docs/a-b/c.txt": b"gamma",
    "docs/build/out.txt": b"out",
    "docs/.git/config": b"[core]",
    "docs/.env": b"TOKEN=1",
    "docs/keys/id_rsa": b"KEY",
    "docs/logo.png": b"\x89PNG\0",
    "docs/sheet.xlsx": b"PK\x03\x04\0",
    "docs/empty.txt": b"",
    "docs/latin.txt": b"caf\xe9",
    "docs/guide.pdf": pdf("One.", "Two."),
}


def on_disk(folder: Path, files: dict[str, bytes]) -> Path:
    (folder / "docs").mkdir()
    for name, content in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return folder / "docs"


def test_an_uploaded_folder_gives_what_the_folder_on_disk_gives(tmp_path: Path) -> None:
    uploaded, read = collect_uploaded(list(TREE.items())), collect([on_disk(tmp_path, TREE)])
    assert uploaded.documents == read.documents
    assert skipped(uploaded) == skipped(read)
    assert titles(uploaded) == ["docs/.gitignore", "docs/a/b.txt", "docs/a-b/c.txt", "docs/a.txt", "docs/guide.pdf"]
    assert uploaded.ignored == 2
    assert skipped(uploaded) == {
        "docs/.env": "may hold secrets; name the file itself to add it",
        "docs/keys/id_rsa": "may hold secrets; name the file itself to add it",
        "docs/logo.png": "binary",
        "docs/sheet.xlsx": "an office file; save it as PDF or text",
        "docs/empty.txt": "empty",
        "docs/latin.txt": "not UTF-8 text (byte 3)",
    }


def test_a_zipped_folder_gives_what_the_folder_gives(tmp_path: Path) -> None:
    expected = collect_uploaded(list(TREE.items()))
    for name in ("docs.zip", "DOCS.ZIP", "other.zip"):
        found = collect_uploaded([(name, zipped(TREE))])
        root = "" if name == "docs.zip" else f"{PurePosixPath(name).stem}/"
        assert titles(found) == [f"{root}{title}" for title in titles(expected)]
        assert found.ignored == 2
        assert skipped(found).keys() == {f"{root}{title}" for title in skipped(expected)}
    (tmp_path / "docs.zip").write_bytes(zipped(TREE))
    assert collect([tmp_path / "docs.zip"]).documents == expected.documents


_names = st.sampled_from(
    ["a.txt", "b.log", "keep.log", "a", "b", ".env", ".gitignore", ".git", "build", "node_modules", "pyvenv.cfg"]
)
_places = st.lists(_names, min_size=1, max_size=3).map(lambda parts: "/".join(["docs", *parts]))
_contents = st.sampled_from([b"*.log\n!keep.log\n", b"build/\n", b"/a\n", b"text", b"", b"\0"])


@given(st.dictionaries(_places, _contents, min_size=1, max_size=6))
@settings(max_examples=60)
def test_any_folder_gives_the_same_uploaded_as_read(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    # A path cannot run through what is a file already.
    files = {name: files[name] for name in files if not any(other.startswith(f"{name}/") for other in files)}
    files = {name: content for name, content in files.items() if "/.gitignore/" not in name}
    folder = on_disk(tmp_path_factory.mktemp("tree"), files)
    uploaded, read = collect_uploaded(list(files.items())), collect([folder])
    assert uploaded.documents == read.documents
    assert skipped(uploaded) == skipped(read)


def test_what_is_chosen_itself_is_taken_as_it_came_before_folders() -> None:
    files = [
        ("z.txt", b"z"),
        ("docs/a.txt", b"a"),
        (".env", b"X=1"),
        ("b.txt", b"b"),
        ("two.zip", zipped({"c.txt": b"c"})),
    ]
    assert titles(collect_uploaded(files)) == ["z.txt", ".env", "b.txt", "two/c.txt", "docs/a.txt"]


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("../../etc/passwd", "etc/passwd"),
        ("/etc/passwd", "etc/passwd"),
        ("docs\\a\\b.txt", "docs/a/b.txt"),
        ("./a.txt", "a.txt"),
        ("docs//a.txt", "docs/a.txt"),
        ("..", ""),
    ],
)
def test_a_path_never_leads_out_of_its_folder(path: str, shown: str) -> None:
    assert clean(path) == shown
    assert titles(collect_uploaded([(path, b"x")])) == [shown or "file"]


def test_names_that_cannot_be_sent_are_named_and_left_out() -> None:
    names = ["docs/a\0b.txt", "docs/\ud800.txt", "docs/" + "x" * 1001, "docs/c.txt"]
    found = collect_uploaded([(name, b"x") for name in names])
    assert titles(found) == ["docs/c.txt"]
    why = skipped(found)
    assert why.pop("docs/a\\0b.txt") == "its name has a NUL character"
    assert why.pop("docs/\\ud800.txt") == "its name is not UTF-8"
    assert list(why.values()) == ["its name is too long"]


def test_a_folder_is_sifted_by_its_paths_alone() -> None:
    sifted = sift(TREE, {"docs/.gitignore": TREE["docs/.gitignore"]})
    assert "docs/a.log" not in sifted.taken and "docs/logo.png" in sifted.taken
    assert [one.title for one in sifted.skipped] == ["docs/.env", "docs/keys/id_rsa"]
    assert sifted.ignored == 2


def test_what_tools_installed_is_left_out_by_its_paths_alone() -> None:
    paths = [
        "docs/a.py",
        "docs/env/pyvenv.cfg",
        "docs/env/lib/b.py",
        "docs/web/node_modules/c/d.js",
        "docs/node_modules",
    ]
    sifted = sift(paths, {})
    assert sifted.taken == ("docs/a.py", "docs/node_modules")
    assert [one.title for one in sifted.skipped] == ["docs/env/", "docs/web/node_modules/"]
    assert sift(["node_modules/a.js", "node_modules/b/c.js"], {}).taken == ("node_modules/a.js", "node_modules/b/c.js")
    packed = collect_uploaded([("docs.zip", zipped(dict.fromkeys(paths, b"x")))])
    assert titles(packed) == ["docs/a.py", "docs/node_modules"]


def test_a_deep_folder_costs_no_more_than_its_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = 0
    real = PurePosixPath.parent

    def parent(path: PurePosixPath) -> PurePosixPath:
        nonlocal looked
        looked += 1
        above: PurePosixPath = real.__get__(path)
        return above

    monkeypatch.setattr(PurePosixPath, "parent", property(parent))
    deep = "/".join(["d"] * 90)
    sifted = sift(
        [f"{deep}/{n}.txt" for n in range(1000)] + ["/".join("x" * 101) + "/a.txt"], {"d/.gitignore": b"7.txt"}
    )
    assert (len(sifted.taken), sifted.ignored) == (999, 1)
    assert [one.reason for one in sifted.skipped] == ["it lies more than 100 folders deep"]
    assert looked < 1000 + 300


def archive_saying(size: int, content: bytes = b"x" * 1000) -> bytes:
    """An archive whose one entry claims to have `size` bytes."""
    packed = bytearray(zipped({"a.txt": content}))
    at = packed.index(b"PK\x01\x02")
    packed[at + 24 : at + 28] = struct.pack("<I", size)
    return bytes(packed)


def test_no_archive_unpacks_to_more_than_its_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = zipped({"zeros.txt": b"0" * 20_000_000})
    assert skipped(collect_uploaded([("a.zip", bomb)])) == {"a/zeros.txt": "unpacks to more than 200 times its size"}
    monkeypatch.setattr("app.contexts.archive.MAX_UNPACKED_BYTES", 1_000_000)
    noise = os.urandom(50_000).hex().encode()
    many = zipped({f"{n}.txt": noise for n in range(11)})
    found = collect_uploaded([("a.zip", many), ("b.txt", b"b")])
    assert titles(found) == ["b.txt"]
    assert "unpacks to more than 1,000,000 bytes" in skipped(found)["a.zip"]


def test_no_archive_holds_more_files_than_its_bound() -> None:
    crowded = zipped({"a.txt": b"a"}) + b"PK\x01\x02" * (MAX_ENTRIES + 1)
    assert "holds more than 20,000 files" in skipped(collect_uploaded([("a.zip", crowded)]))["a.zip"]


@pytest.mark.parametrize("size", [0, 10, 999, 1001, 5_000_000, 0xFFFF_FFFE])
def test_an_archive_that_lies_about_a_size_gives_no_more_than_that(size: int) -> None:
    found = collect_uploaded([("a.zip", archive_saying(size))])
    assert sum(document.size for document in found.documents) <= min(size, 1000)
    assert found.skipped or found.documents


def test_what_is_wrong_with_an_archive_is_said() -> None:
    locked = bytearray(zipped({"a.txt": b"a"}))
    locked[6] |= 1
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    assert skipped(collect_uploaded([("a.zip", bytes(locked))])) == {"a/a.txt": "encrypted"}
    odd = zipped({"a.txt": b"a"}, zipfile.ZIP_LZMA)
    assert skipped(collect_uploaded([("a.zip", odd)])) == {"a/a.txt": "packed in a way that is not read here"}
    assert "is not a zip archive" in skipped(collect_uploaded([("a.zip", b"PK nonsense")]))["a.zip"]
    nested = zipped({"inner.zip": zipped({"a.txt": b"a"}), "b.txt": b"b"})
    assert skipped(collect_uploaded([("a.zip", nested)])) == {"a/inner.zip": "an archive"}


@pytest.mark.parametrize("at", [5, 1 << 31, 1 << 62, 1 << 63, (1 << 64) - 1])
def test_an_archive_whose_entry_is_nowhere_gives_none(at: int) -> None:
    packed = bytearray(zipped({"a.txt": b"alpha"}))
    entry = packed.index(b"PK\x01\x02")
    end = packed.index(b"PK\x05\x06")
    # The place of an entry may be given in 64 bits, behind its name.
    packed[entry + 42 : entry + 46] = b"\xff" * 4
    packed[entry + 30 : entry + 32] = struct.pack("<H", 12)
    packed[end + 12 : end + 16] = struct.pack("<I", end - entry + 12)
    packed[end:end] = struct.pack("<HHQ", 1, 8, at)
    assert "damaged" in skipped(collect_uploaded([("a.zip", bytes(packed))]))["a/a.txt"]


@pytest.mark.parametrize("name", ["..zip", "...zip", "....zip", ".zip", "a..zip"])
def test_an_archive_called_like_no_folder_leads_nowhere_else(name: str) -> None:
    (title,) = titles(collect_uploaded([(name, zipped({"../a.txt": b"alpha"}))]))
    folder, _, file = title.partition("/")
    assert file == "a.txt" and clean(title) == title and folder


def test_links_in_an_archive_are_left_out() -> None:
    link = zipfile.ZipInfo("out")
    link.external_attr = 0o120777 << 16
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("a.txt", "a")
    assert titles(collect_uploaded([("a.zip", packed.getvalue())])) == ["a/a.txt"]


@given(st.binary(max_size=300), st.integers(0, 300))
@settings(max_examples=150)
def test_any_damage_to_an_archive_is_survived(noise: bytes, place: int) -> None:
    packed = zipped({"docs/a.txt": b"alpha" * 50, "docs/b.txt": b"beta"})
    damaged = packed[:place] + noise + packed[place + len(noise) :]
    found = collect_uploaded([("a.zip", damaged)])
    assert all(one.reason for one in found.skipped)


def test_a_pdf_is_kept_byte_for_byte_with_its_pages_counted() -> None:
    content = pdf("One.", "Two.", "Three.")
    assert collect_uploaded([("a.bin", content), ("b.txt", b"b")]).documents == (
        Pdf("a.bin", content, 3),
        Document("b.txt", "b"),
    )


def test_what_the_api_would_not_read_as_a_pdf_is_left_out() -> None:
    files = [("locked.pdf", locked_pdf("x")), ("bad.pdf", b"%PDF-1.4\nnonsense"), ("none.pdf", pdf())]
    assert skipped(collect_uploaded(files)) == {
        "locked.pdf": "encrypted; save it without a password",
        "bad.pdf": "a damaged PDF",
        "none.pdf": "a PDF without pages",
    }


@given(st.lists(st.binary(max_size=40), max_size=3), st.integers(0, 600))
@settings(max_examples=8)
def test_any_damage_to_a_pdf_is_survived_and_harms_no_other(noise: list[bytes], place: int) -> None:
    sound = pdf("One.", "Two.")
    damaged = [sound[:place] + one + sound[place + len(one) :] for one in noise]
    counted = count_pages([sound, *damaged, sound])
    assert counted[0] == counted[-1] == 2
    assert len(counted) == len(noise) + 2


def test_a_pdf_that_takes_too_long_or_kills_its_reader_is_left_out_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.contexts.parsing.WITHIN_S", 0.0)
    assert count_pages([pdf("a")]) == [TOO_LONG]


def test_rules_that_a_stranger_wrote_cost_no_more_than_reading_them(monkeypatch: pytest.MonkeyPatch) -> None:
    deep = "docs/" + "a/" * 60 + "b"
    assert sift([deep], {"docs/.gitignore": b"**/a/" * 60 + b"c"}).taken == (deep,)
    many = {"docs/.gitignore": b"*.log\n" * 15_000}
    monkeypatch.setattr("app.contexts.sift.MAX_TRIED", 50_000)
    with pytest.raises(TooManyRules):
        sift([f"docs/{n}" for n in range(1000)], many)
    with pytest.raises(TooManyRules):
        sift(["docs/a"], {"docs/.gitignore": b"*.log\n" * 20_000})
    found = collect_uploaded(
        [("docs.zip", zipped({f"{n}": b"x" for n in range(1000)} | {".gitignore": b"a\n" * 15_000}))]
    )
    assert "too many rules" in skipped(found)["docs.zip"]
