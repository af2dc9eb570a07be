"""The Jinja2 templates, and where the page's files are."""

from pathlib import Path

from starlette.requests import Request
from starlette.templating import Jinja2Templates

from app.web import inline, numbers

_ROOT = Path(__file__).resolve().parents[2]

STATIC = _ROOT / "static"

# The page's own: light or dark, where its reader chose.
THEME_COOKIE = "headstart_theme"


def theme_of(request: Request) -> str | None:
    """`light` or `dark`; None as the reader's system says."""
    chosen = request.cookies.get(THEME_COOKIE)
    return chosen if chosen in ("light", "dark") else None


templates = Jinja2Templates(_ROOT / "templates", context_processors=[lambda request: {"theme": theme_of(request)}])
templates.env.trim_blocks = True
templates.env.lstrip_blocks = True
for written in (numbers.count, numbers.compact, numbers.money, numbers.seconds, numbers.duration, numbers.share):
    templates.env.filters[written.__name__] = written
templates.env.globals["base_css"] = inline.element("style", inline.BASE_CSS)
templates.env.globals["boot_js"] = inline.element("script", inline.BOOT_JS)
templates.env.filters["several"] = numbers.several
# The first reader of the chat does not wait for what it is made of to be compiled.
for page in ("base.html", "chat.html"):
    templates.env.get_template(page)
