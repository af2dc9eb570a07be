"""Markdown to sanitized HTML, in top-level blocks.

CommonMark with tables, strikethrough and task lists; web addresses that are written out are links. What is not ours to do
stays text: raw HTML, formulas, links that are not http, https or mailto, and reference definitions, because a definition
further down would change what stands above.
Images are links: nothing loads by being read.
"""

import re
from collections.abc import Sequence
from html import escape

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from app.rendering.code import coloured
from app.rendering.math import leave_math
from app.rendering.sanitize import clean

# Stands on both sides of a citation's number in the text: punctuation to Markdown, and in no text that anybody writes.
BRACKET = "\U00011fff"

_MARK = re.compile(f"{BRACKET}(\\d+){BRACKET}")
_LINK = re.compile(r"(?:https?://|mailto:)\S", re.IGNORECASE)
# An address with nothing around it: where it begins before the colon, and what it may be made of after it.
_SCHEME = re.compile(r"(?<![\w.+-])https?$", re.IGNORECASE)
_ADDRESS = re.compile(rf"://[^\W_][^\s<>\"`|\\^{{}}\[\]…“”‘’«»。，、；：）】」』{BRACKET}]*")
_AFTER_ADDRESS = ".,:;?!*_~'"
_LONGEST_SCHEME, _LONGEST_ADDRESS = 5, 2_000
_LANGUAGE = re.compile(r"[\w+#.-]{1,30}")
_HEADING_OFFSET = 2
_SMALLEST_HEADING = 6


def split(text: str) -> list[list[Token]]:
    """The tokens of each top-level block of `text`; the first token's `map` says which lines it is."""
    blocks: list[list[Token]] = []
    for token in _MARKDOWN.parse(text):
        if token.level == 0 and token.nesting >= 0:
            blocks.append([])
        blocks[-1].append(token)
    return blocks


def html_of(block: Sequence[Token], marks: Sequence[str] = ()) -> str:
    """A block's sanitized HTML: one element. `marks` are the HTML of the answer's citations, by number from 1."""
    return clean(_MARKDOWN.renderer.render(block, _MARKDOWN.options, {"marks": marks}).strip())


def without_marks(text: str) -> str:
    """`text` with no place for a citation in it."""
    return _MARK.sub("", text)


class _Html(RendererHTML):
    """How each kind of token looks; a method is found by the token's type."""

    def heading_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return f"<{_heading(tokens[idx])}>"

    def heading_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return f"</{_heading(tokens[idx])}>\n"

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        token = tokens[idx]
        named = _LANGUAGE.match(token.info.strip())
        return _figure(token.content, named.group() if named else "", env)

    def code_block(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return _figure(tokens[idx].content, "", env)

    def code_inline(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        content = tokens[idx].content
        return f"<code>{escape(without_marks(content))}</code>{_marks_in(content, env)}"

    def math_block(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        content = tokens[idx].content
        return f'<p class="math">{escape(without_marks(content))}{_marks_in(content, env)}</p>\n'

    def table_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return (
            '<figure class="rows"><button type="button" class="copy">Copy</button>'
            '<div class="table" tabindex="0" role="region" aria-label="Table"><table>\n'
        )

    def table_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return "</table></div></figure>\n"

    def th_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return _cell(tokens[idx])

    td_open = th_open

    def list_item_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        checked = tokens[idx].meta.get("checked")
        return "<li>" if checked is None else f"<li>{'☑' if checked else '☐'} "

    def link_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return f'<a href="{escape(str(tokens[idx].attrs.get("href", "")))}">'

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        token = tokens[idx]
        source = str(token.attrs.get("src", ""))
        said = escape(without_marks(self.renderInlineAsText(token.children, options, env)) or source)
        inside_link = sum(each.nesting for each in tokens[:idx] if each.type.startswith("link_")) > 0
        return said if inside_link else f'<a href="{escape(source)}">{said}</a>'

    def cite(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return _marks_in(tokens[idx].content, env)


def _heading(token: Token) -> str:
    return f"h{min(_SMALLEST_HEADING, int(token.tag[1:]) + _HEADING_OFFSET)}"


def _figure(content: str, language: str, env: EnvType) -> str:
    code = without_marks(content).removesuffix("\n")
    label = escape(f"Code in {language}" if language else "Code")
    return (
        f'<figure class="code"><figcaption><span>{escape(language)}</span>{_marks_in(content, env)}'
        '<button type="button" class="wrap">Wrap</button><button type="button" class="copy">Copy</button></figcaption>'
        f'<pre tabindex="0" role="region" aria-label="{label}"><code>{coloured(code, language)}</code></pre></figure>\n'
    )


def _cell(token: Token) -> str:
    # markdown-it says it as a style of the element's own, which our policy forbids.
    side = str(token.attrs.get("style", "")).removeprefix("text-align:")
    return f'<{token.tag} class="{side}">' if side in ("center", "right") else f"<{token.tag}>"


def _marks_in(content: str, env: EnvType) -> str:
    marks = env["marks"]
    return "".join(marks[int(number) - 1] for number in _MARK.findall(content) if 0 < int(number) <= len(marks))


def _cite(state: StateInline, silent: bool) -> bool:
    found = _MARK.match(state.src, state.pos, state.posMax)
    if found is None:
        return False
    if not silent:
        state.push("cite", "", 0).content = found.group()
    state.pos = found.end()
    return True


def _bare_link(state: StateInline, silent: bool) -> bool:
    if silent or state.linkLevel > 0 or state.src[state.pos] != ":":
        return False
    scheme = _SCHEME.search(state.pending[-_LONGEST_SCHEME - 1 :])
    rest = scheme and _ADDRESS.match(state.src, state.pos, min(state.posMax, state.pos + _LONGEST_ADDRESS))
    if not scheme or not rest or len(rest.group()) == _LONGEST_ADDRESS:
        return False
    address = scheme.group() + _without_what_follows(rest.group())
    target = state.md.normalizeLink(address)
    if not state.md.validateLink(target):
        return False
    state.pos += len(address) - len(scheme.group())
    state.pending = state.pending[: -len(scheme.group())]
    state.push("link_open", "a", 1).attrs = {"href": target}
    state.push("text", "", 0).content = address
    state.push("link_close", "a", -1)
    return True


def _without_what_follows(address: str) -> str:
    """`address` without the marks of the sentence that it stands in."""
    while True:
        kept = address.rstrip(_AFTER_ADDRESS)
        if kept.endswith(")") and kept.count(")") > kept.count("("):
            kept = kept[:-1]
        if kept == address:
            return kept
        address = kept


class _Parser(MarkdownIt):
    """One that makes links of nothing but what `_LINK` allows, and none that lead to a citation's place."""

    def validateLink(self, url: str) -> bool:
        return _LINK.match(url) is not None

    def normalizeLink(self, url: str) -> str:
        return super().normalizeLink(without_marks(url))


def _parser() -> MarkdownIt:
    options = {"html": False, "breaks": True, "xhtmlOut": False, "tasklists": True}
    md = _Parser("commonmark", options, renderer_cls=_Html)
    md.enable(["table", "strikethrough"])
    md.disable(["reference", "html_block", "html_inline"])
    md.inline.add_terminator_char(BRACKET)
    md.inline.add_terminator_char(":")
    md.inline.ruler.before("escape", "cite", _cite)
    md.inline.ruler.before("escape", "bare_link", _bare_link)
    leave_math(md)
    return md


_MARKDOWN = _parser()
