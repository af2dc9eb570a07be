"""The Jinja2 templates, and where the page's files are."""

from pathlib import Path

from starlette.templating import Jinja2Templates

from app.web import inline, numbers

_ROOT = Path(__file__).resolve().parents[2]

STATIC = _ROOT / "static"

templates = Jinja2Templates(_ROOT / "templates")
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
