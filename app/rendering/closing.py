"""Markdown that other Markdown is to follow: what it leaves open at its end would take in all of that."""

from markdown_it import MarkdownIt

# Blocks alone say what is open. Whoever reads the whole may take raw HTML for what it is, which our pages do not.
_BLOCKS = MarkdownIt("commonmark").disable("inline")
_HTML_ENDS = {"<!--": "-->", "<?": "?>", "<![CDATA[": "]]>", "<!": ">"}
_ELEMENTS = ("script", "pre", "style", "textarea")


def closed(text: str) -> str:
    """`text` with an end of the code or the HTML that is open at its end. Lists and quotations end by themselves."""
    last = _BLOCKS.parse(f"{text}\n\n# What follows")[-1]
    if last.type == "fence":
        return f"{text}\n{last.markup}"
    if last.type == "html_block":
        return f"{text}\n{_html_end(last.content.lstrip().lower())}"
    return text


def _html_end(html: str) -> str:
    for begins, ends in _HTML_ENDS.items():
        if html.startswith(begins.lower()):
            return ends
    return f"</{next(name for name in _ELEMENTS if html.startswith(f'<{name}'))}>"
