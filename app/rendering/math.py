"""Formulas for markdown-it: left exactly as they were written, where Markdown would take their backslashes and stars."""

import re

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

# A dollar is most often money: what it opens must end on the same line, with no space inside and no digit after.
_INLINE = re.compile(
    r"\\\((?:[^\\]|\\[^)])+?\\\)|\\\[(?:[^\\]|\\[^\]])+?\\\]|\$\$[^$]+?\$\$|\$(?=[^\s$])[^$\n]*?[^\s$\\]\$(?!\d)"
)
_CLOSERS = {"$$": "$$", "\\[": "\\]"}
_LONGEST_INLINE = 1_000


def leave_math(md: MarkdownIt) -> None:
    """Teach `md` what a formula is."""
    md.inline.ruler.before("escape", "math", _inline)
    md.block.ruler.before("fence", "math", _block, {"alt": ["paragraph", "blockquote", "list"]})


def _inline(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] not in "\\$":
        return False
    found = _INLINE.match(state.src, state.pos, min(state.posMax, state.pos + _LONGEST_INLINE))
    if found is None:
        return False
    if not silent:
        state.push("text", "", 0).content = found.group()
    state.pos = found.end()
    return True


def _block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    closer = _CLOSERS.get(_line(state, start).strip())
    if closer is None or state.is_code_block(start):
        return False
    if silent:
        return True
    after = start + 1
    while after < end and (state.isEmpty(after) or state.sCount[after] >= state.blkIndent):
        after += 1
        if _line(state, after - 1).rstrip().endswith(closer):
            break
    state.line = after
    token = state.push("math_block", "p", 0)
    token.map = [start, after]
    token.content = state.getLines(start, after, state.sCount[start], False)
    return True


def _line(state: StateBlock, line: int) -> str:
    return state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]]
