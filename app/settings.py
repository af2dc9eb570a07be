"""Every knob, one place. Values come from the environment or from `.env`; the README's table is made from this file."""

import os
import re
import sys
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.ledger.prices import load_prices
from app.models import DEFAULT_MODEL
from app.store.address import parse_address

PREFIX = "HEADSTART_"
SHORTEST_ADMIN_KEY = 16


def default_data_dir() -> Path:
    """Where the embedded Redis keeps its data: the user's XDG data folder."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "headstart"


def _switch(value: Any) -> Any:
    """The usual words for on and off."""
    words = {"1": "on", "true": "on", "yes": "on", "0": "off", "false": "off", "no": "off"}
    return words.get(value.lower(), value.lower()) if isinstance(value, str) else value


def _redis_url(value: str) -> str:
    parse_address(value)
    return value


def _http_url(value: str) -> str:
    try:
        parts = urlsplit(value)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not the URL of a server: http://… or https://…")
    return value


def _networks(value: str) -> str:
    _parsed_networks(value)
    return value


def _parsed_networks(value: str) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(ip_network(one) for one in _listed(value))
    except ValueError as error:
        raise ValueError(f"not a list of addresses or networks such as 10.0.0.0/8, ::1 ({error})") from None


def _origins(value: str) -> str:
    for origin in _listed(value):
        if not re.fullmatch(r"https?://[^\s/?#@*]+", origin):
            raise ValueError(f"{origin!r} is no origin such as https://app.example.com, with nothing after the host")
    return value


def _hosts(value: str) -> str:
    for name in _listed(value):
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
            raise ValueError(f"{name!r} is no name of a host such as chat.example.com, without scheme and port")
    return value


def _listed(value: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in value.split(",") if one.strip())


def _header(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]+", value):
        raise ValueError("not the name of a header, such as X-Forwarded-User")
    return value


def _long_enough(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < SHORTEST_ADMIN_KEY:
        raise ValueError(f"shorter than {SHORTEST_ADMIN_KEY} characters, so that it could be guessed")
    return value


def _with_the_default(value: str, info: ValidationInfo) -> str:
    default = info.data.get("model")
    if _listed(value) and default is not None and default not in _listed(value):
        raise ValueError(f"{default}, which HEADSTART_MODEL names, is not among them")
    return value


def _price_list(value: Path) -> Path:
    load_prices(value)
    return value


class Settings(BaseSettings):
    """What can be set. Names are those of the fields with HEADSTART_ before them, unless a field names its own."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        hide_input_in_errors=True,
        frozen=True,
        populate_by_name=True,
    )

    anthropic_api_key: SecretStr | None = Field(
        default=None,
        validation_alias="ANTHROPIC_API_KEY",
        description="Your key for Claude. Without it and without a base URL, the sandbox answers.",
    )
    anthropic_base_url: Annotated[str, AfterValidator(_http_url)] | None = Field(
        default=None,
        validation_alias="ANTHROPIC_BASE_URL",
        description="A Messages API of your own (a gateway, vLLM, …) instead of Anthropic's.",
    )
    redis_url: Annotated[str, AfterValidator(_redis_url)] | None = Field(
        default=None,
        repr=False,
        description="Redis to keep everything in: redis://, unix://, redis+sentinel:// or redis+cluster:// "
        "(docs/operations.md). Without it, an embedded Redis.",
    )
    model: str = Field(default=DEFAULT_MODEL, description="The model of contexts that name none.")
    models: Annotated[str, AfterValidator(_with_the_default)] = Field(
        default="",
        description="The models that may be asked, comma-separated, in the order they are offered in; without it, any.",
    )
    prices: Annotated[Path, AfterValidator(_price_list)] | None = Field(
        default=None,
        description="A JSON file of prices that differ from the table's, or are not in it (docs/dashboard.md).",
    )
    host: str = Field(default="127.0.0.1", description="The address to listen on.")
    port: int = Field(default=8000, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    data_dir: Path = Field(
        default_factory=default_data_dir,
        description="Where the embedded Redis keeps its data (default: headstart in the user's XDG data folder).",
    )
    sandbox: Annotated[Literal["auto", "on", "off"], BeforeValidator(_switch)] = Field(
        default="auto",
        description="auto: the sandbox answers when there is no key and no base URL; on: always; off: never.",
    )
    sandbox_speed: float = Field(
        default=4.0, gt=0, le=10_000, description="How much faster than the real API the sandbox answers."
    )
    limits: Annotated[Literal["on", "off"], BeforeValidator(_switch)] = Field(
        default="on", description="off: no rate limits and no budgets, for one user or a benchmark."
    )
    owner_sessions_per_day: int = Field(
        default=200, ge=1, description="How many conversations one owner may begin in a day."
    )
    owner_turns_per_minute: int = Field(
        default=20, ge=1, description="How many questions one owner may ask in a minute."
    )
    owner_contexts_per_hour: int = Field(
        default=60, ge=1, description="How often one owner may try to add a context in an hour."
    )
    owner_urls_per_hour: int = Field(
        default=200, ge=1, description="How many URLs may be fetched for one owner in an hour."
    )
    owner_sifts_per_hour: int = Field(
        default=120,
        ge=1,
        description="How many folders one owner may have looked through in an hour, before sending them.",
    )
    owner_searches_per_hour: int = Field(
        default=1000, ge=1, description="How often one owner may search their conversations in an hour."
    )
    owner_open_streams: int = Field(
        default=100,
        ge=1,
        description="How many event streams of answers that were taken up again one owner may have open, at each server.",
    )
    owner_contexts: int = Field(default=50, ge=0, description="How many contexts one owner may add over the API.")
    owner_bytes: int = Field(default=200_000_000, ge=0, description="How many bytes those may have together.")
    owner_usd_per_day: float = Field(
        default=5.0, ge=0, description="What one owner's questions and warms may cost in a day (UTC), in USD."
    )
    owners_per_address: int = Field(
        default=100, ge=1, description="How many new owners one address may bring in a day: who drops a cookie is one."
    )
    usd_per_day: float = Field(
        default=100.0, ge=0, description="What everyone's questions and warms may cost in a day (UTC), in USD."
    )
    warm: Annotated[Literal["on", "off"], BeforeValidator(_switch)] = Field(
        default="on", description="off: nothing is warmed; questions are cached all the same."
    )
    warm_usd_per_hour: float = Field(
        default=10.0, ge=0, description="What all processes together may spend on warming in an hour, in USD."
    )
    warm_usd_per_day: float = Field(default=50.0, ge=0, description="The same for a day (UTC).")
    value_of_second_usd: float = Field(
        default=0.03, ge=0, description="What a second of a reader's waiting is worth, in USD, when a warm is weighed."
    )
    join_timeout_s: float = Field(
        default=120.0,
        gt=0,
        le=3600,
        description="The longest that a question waits for a warm under way, and once more for what took its place.",
    )
    upstream_timeout_s: float = Field(
        default=300.0, gt=0, le=3600, description="How long the upstream may be silent before a call fails."
    )
    upstream_stall_s: float = Field(
        default=60.0,
        gt=0,
        le=3600,
        description="How long an answer that has begun may say nothing, not even `ping`, before it is asked for again.",
    )
    upstream_retries: int = Field(
        default=2, ge=0, le=10, description="How often the SDK tries again after 429, 529, 5xx or a lost connection."
    )
    turn_attempts: int = Field(
        default=3, ge=1, le=10, description="How often an answer that breaks off is asked for, the first time included."
    )
    unread_stop_s: float = Field(
        default=120.0, ge=0, description="A turn that nobody reads for so long is stopped, to save the money; 0: never."
    )
    drain_s: float = Field(
        default=20.0,
        ge=0,
        le=3600,
        description="How long running turns may take to end after SIGTERM, before other processes go on with them.",
    )
    fetch_urls: Annotated[Literal["on", "off"], BeforeValidator(_switch)] = Field(
        default="on", description="off: documents come as texts and files alone; the server fetches no URL."
    )
    sharing: Annotated[Literal["on", "off"], BeforeValidator(_switch)] = Field(
        default="on", description="off: no conversation can be shared by a link, and links lead nowhere."
    )
    max_question_chars: int = Field(
        default=100_000, gt=0, le=300_000, description="The longest question, in characters."
    )
    journal_ttl_s: int = Field(
        default=86_400, gt=0, description="How long the journal of a finished turn is kept for clients that come back."
    )
    retention_days: int = Field(
        default=0, ge=0, le=36_500, description="How many days a conversation that nobody uses is kept; 0: for ever."
    )
    hosts: Annotated[str, AfterValidator(_hosts)] = Field(
        default="",
        description="Names by which a server that listens on its own machine alone may be asked, beside localhost and "
        "addresses (docs/security.md).",
    )
    trusted_proxies: Annotated[str, AfterValidator(_networks)] = Field(
        default="127.0.0.1, ::1",
        description="Addresses and networks of reverse proxies whose X-Forwarded-… headers are believed.",
    )
    cors_origins: Annotated[str, AfterValidator(_origins)] = Field(
        default="",
        description="Origins whose pages may use the API, such as https://app.example.com (docs/security.md).",
    )
    login_header: Annotated[str, AfterValidator(_header)] | None = Field(
        default=None,
        description="The header in which trusted proxies name who is logged in, such as X-Forwarded-User.",
    )
    admin_key: Annotated[SecretStr, AfterValidator(_long_enough)] | None = Field(
        default=None,
        description="What opens the dashboard, /api/stats and /metrics. Without it, they open on this machine alone.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="How much to log: debug, info, warning or error."
    )
    log_format: Literal["pretty", "json"] = Field(
        default="pretty", description="How to log: pretty, for people, or json, one object a line."
    )

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be read anywhere."""
        keys = (self.anthropic_api_key, self.admin_key)
        password = urlsplit(self.redis_url or "").password or ""
        given = [key.get_secret_value() for key in keys if key is not None]
        return tuple(secret for secret in (*given, password, unquote(password)) if secret)

    @property
    def usable_models(self) -> tuple[str, ...]:
        """The models that may be asked; empty for any."""
        return tuple(dict.fromkeys(_listed(self.models)))

    @property
    def trusted_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The reverse proxies that are believed."""
        return _parsed_networks(self.trusted_proxies)

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """The origins whose pages may use the API."""
        return _listed(self.cors_origins.lower())

    @property
    def known_hosts(self) -> tuple[str, ...] | None:
        """By which names we may be asked, beside local ones; None: by any, since we are reached through a proxy, or a
        network of whose names we know nothing."""
        proxied = "trusted_proxies" in self.model_fields_set or self.login_header is not None
        return _listed(self.hosts.lower()) if not proxied and self.host in ("127.0.0.1", "::1", "localhost") else None

    @property
    def uses_sandbox(self) -> bool:
        """Whether the sandbox is the upstream."""
        if self.sandbox != "auto":
            return self.sandbox == "on"
        return self.anthropic_api_key is None and self.anthropic_base_url is None

    @property
    def notice(self) -> dict[str, str | None]:
        """What the page and the log say about the upstream: its `kind`, a `label`, and a `hint` at what to set."""
        kind, label, hint = "claude", "Claude", None
        if self.uses_sandbox:
            kind, label = "sandbox", f"Sandbox, {self.sandbox_speed:g}× real speed"
            hint = "Set ANTHROPIC_API_KEY to ask Claude."
        elif self.anthropic_base_url is not None:
            kind, label = "custom", f"Upstream: {urlsplit(self.anthropic_base_url).netloc.rpartition('@')[2]}"
        elif self.anthropic_api_key is None:
            label, hint = "Claude, without a key", "Set ANTHROPIC_API_KEY."
        return {"kind": kind, "label": label, "hint": hint}


def variable(field: str) -> str:
    """The environment variable that sets `field`, which may be the variable's name itself."""
    if field not in Settings.model_fields:
        return field
    alias = Settings.model_fields[field].validation_alias
    return alias if isinstance(alias, str) else f"{PREFIX}{field.upper()}"


def settings_table() -> str:
    """The README's table of settings, as Markdown."""
    rows = ["| setting | default | what it does |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default_factory or field.default in (None, "") else f"`{field.default}`"
        rows.append(f"| `{variable(name)}` | {default} | {field.description} |")
    return "\n".join(rows)


if __name__ == "__main__":
    sys.stdout.write(settings_table() + "\n")
