"""The Jinja2 templates, and where the page's files are."""

from pathlib import Path

from starlette.templating import Jinja2Templates

_ROOT = Path(__file__).resolve().parents[2]

STATIC = _ROOT / "static"

templates = Jinja2Templates(_ROOT / "templates")
templates.env.trim_blocks = True
templates.env.lstrip_blocks = True
