"""Code with colours: Pygments' tokens under nine classes of our own, for languages that a reader is likely to meet."""

from functools import lru_cache
from html import escape
from itertools import groupby

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import Token

# Longer code is shown without colours: lexers are made of regular expressions, and nobody vouches for their worst case.
MAX_COLOURED_CHARS = 60_000

_KNOWN = """
bash c clojure cmake console cpp csharp css csv dart diff dockerfile elixir erlang fsharp go graphql groovy haskell hcl
html http ini java javascript json jsx julia kotlin lua make matlab nginx nix objective-c ocaml perl php powershell
protobuf pycon python r ruby rust scala scss sql svelte swift tcl terraform tex toml typescript tsx vim vue xml yaml zig
"""
_LANGUAGES = frozenset(_KNOWN.split())
_OTHER_NAMES = {
    **{
        "sh": "bash",
        "shell": "bash",
        "zsh": "bash",
        "c++": "cpp",
        "c#": "csharp",
        "cs": "csharp",
        "docker": "dockerfile",
    },
    **{"js": "javascript", "mjs": "javascript", "ts": "typescript", "py": "python", "python3": "python", "rb": "ruby"},
    **{"rs": "rust", "golang": "go", "yml": "yaml", "jsonc": "json", "patch": "diff", "latex": "tex", "htm": "html"},
    **{
        "kt": "kotlin",
        "makefile": "make",
        "ps1": "powershell",
        "proto": "protobuf",
        "objc": "objective-c",
        "hs": "haskell",
    },
}
_CLASSES = {
    Token.Keyword: "k",
    Token.Keyword.Type: "t",
    Token.Operator.Word: "k",
    Token.Literal.String: "s",
    Token.Comment: "c",
    Token.Literal.Number: "n",
    Token.Keyword.Constant: "n",
    Token.Name.Function: "f",
    Token.Name.Class: "f",
    Token.Name.Tag: "k",
    Token.Name.Builtin: "t",
    Token.Name.Exception: "t",
    Token.Name.Attribute: "a",
    Token.Name.Decorator: "a",
    Token.Generic.Deleted: "d",
    Token.Generic.Inserted: "i",
    Token.Generic.Heading: "k",
    Token.Generic.Subheading: "k",
    Token.Generic.Prompt: "c",
}


def coloured(code: str, language: str) -> str:
    """`code` as HTML whose text is `code` itself, with spans for colours when `language` is one we know."""
    lexer = _lexer(language.lower()) if len(code) <= MAX_COLOURED_CHARS else None
    if lexer is None:
        return escape(code)
    # Many a lexer knows a line by its end.
    pieces = [(_class(kind), text) for _, kind, text in lexer.get_tokens_unprocessed(f"{code}\n")]
    if "".join(text for _, text in pieces) != f"{code}\n":
        return escape(code)
    *pieces, (name, last) = pieces
    pieces.append((name, last.removesuffix("\n")))
    runs = (
        (name, escape("".join(text for _, text in run))) for name, run in groupby(pieces, key=lambda piece: piece[0])
    )
    return "".join(f'<span class="{name}">{text}</span>' if name and text else text for name, text in runs)


@lru_cache(maxsize=128)
def _lexer(language: str) -> Lexer | None:
    name = _OTHER_NAMES.get(language, language)
    return get_lexer_by_name(name, stripnl=False, ensurenl=False) if name in _LANGUAGES else None


@lru_cache(maxsize=1024)
def _class(kind: object) -> str:
    found: object = kind
    while found is not None:
        if found in _CLASSES:
            return _CLASSES[found]
        found = getattr(found, "parent", None)
    return ""
