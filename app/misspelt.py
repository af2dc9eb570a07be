"""Variables that are named like settings and are none."""

from difflib import get_close_matches

from pydantic_settings import DotEnvSettingsSource, EnvSettingsSource

from app.settings import PREFIX, Settings, variable

# What `make` tells the tests.
_TEST_SETTINGS = ("HEADSTART_TEST_", "HEADSTART_SCREENSHOT")


def unknown_variables() -> str:
    """What to say of variables that are named like settings and are none: misspelt, they would do nothing and nobody would
    know. Empty if there is none; their values are not said."""
    given = {name.upper() for source in (EnvSettingsSource, DotEnvSettingsSource) for name in source(Settings).env_vars}
    settings = {name.upper(): variable(name) for name in Settings.model_fields}
    # Kubernetes tells every container of the services beside it, by their names.
    services = [name.removesuffix("SERVICE_HOST") for name in given if name.endswith("_SERVICE_HOST")]
    others = (*_TEST_SETTINGS, *(f"{service}{what}" for service in services for what in ("SERVICE_", "PORT")))
    said = []
    for name in sorted(given):
        short = name.removeprefix(PREFIX)
        if name.startswith(PREFIX) and short not in settings and not name.startswith(others):
            meant = get_close_matches(short, settings, 1)
            said.append(f"{name} (did you mean {settings[meant[0]]}?)" if meant else name)
    return f"not settings of Headstart, and without effect: {', '.join(said)}" if said else ""
