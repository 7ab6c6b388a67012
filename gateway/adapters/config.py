"""Settings from a TOML file, the environment and secret files.

Per key the first that says something counts: ``GATEWAY_<SECTION>_<KEY>``, the file, then ``CLERK_PUBLISHABLE_KEY``,
``CLERK_SECRET_KEY``, ``CLERK_MACHINE_SECRET_KEY`` and ``CLERK_JWT_KEY`` (or the same with ``_FILE``). What the keys
mean and which values are good is decided in :mod:`gateway.core.settings`; this module only brings them together.
"""

import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from gateway.adapters.answer_stores import store_fault
from gateway.adapters.extras import grpc_fault
from gateway.adapters.upstream_tls import tls_faults
from gateway.core.settings import parse
from gateway.core.settings_keys import SECTIONS, Key, Kind
from gateway.core.settings_model import Settings
from gateway.errors import ConfigurationError, Fault

PREFIX = "GATEWAY_"
# Read by the command line itself; see gateway.cli.
CONFIG_VARIABLE = "GATEWAY_CONFIG"
_SECRETS = ("secret_key", "machine_secret_key", "jwt_key")
_TLS_FILES = ("tls_ca_file", "tls_certificate_file", "tls_key_file")
FALLBACKS = ("publishable_key", *(f"{name}{end}" for name in _SECRETS for end in ("", "_file")))
_MAX_SECRET_BYTES = 64 * 1024
_BOOLEANS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
VARIABLES: Mapping[str, tuple[str, Key]] = {
    f"{PREFIX}{section.name}_{key.name}".upper(): (section.name, key)
    for section in SECTIONS
    for key in section.keys.values()
    if key.kind != "table"
}


def load(path: Path | None, environ: Mapping[str, str], *, needs_upstream: bool = True) -> Settings:
    """Read all sources and return the settings.

    Args:
        path: the TOML file; None takes the environment alone.
        environ: the environment variables.
        needs_upstream: False for the middleware (:func:`gateway.core.settings.parse`).

    Raises:
        ConfigurationError: with every fault of every source at once.
    """
    sources = _Sources()
    document = sources.read_file(path) if path else {}
    if sources.faults:
        raise ConfigurationError(sources.faults)
    sources.override(document, environ)
    sources.fall_back(document, environ)
    sources.resolve_files(document, path.parent if path else Path())
    return sources.parse(document, needs_upstream=needs_upstream)


@dataclass(slots=True)
class _Sources:
    """Collects what was found wrong, and which key came from which variable."""

    faults: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)

    def read_file(self, path: Path) -> dict[str, Any]:
        try:
            return tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            self._refuse(str(path), f"it cannot be read: {error.strerror}", "give the path of a readable TOML file")
        except UnicodeDecodeError:
            self._refuse(str(path), "it is not UTF-8", "save it as UTF-8")
        except tomllib.TOMLDecodeError as error:
            self._refuse(str(path), f"it is not TOML: {error}", "mend that line; config.example.toml shows the form")
        return {}

    def override(self, document: dict[str, Any], environ: Mapping[str, str]) -> None:
        """Lay the GATEWAY_ variables over the document."""
        given: dict[str, Any] = {}
        for variable in sorted(environ):
            if not variable.startswith(PREFIX) or variable == CONFIG_VARIABLE:
                continue
            if variable not in VARIABLES:
                near = get_close_matches(variable, VARIABLES, n=1, cutoff=0.8)
                fix = f"did you mean {near[0]}?" if near else "variables are named GATEWAY_<SECTION>_<KEY>; unset it"
                self._refuse(variable, "there is no such variable", fix)
            elif environ[variable].strip() or VARIABLES[variable][1].kind == "list":
                section, key = VARIABLES[variable]
                given.setdefault(section, {})[key.name] = _from_text(key.kind, environ[variable].strip())
                self.variables[f"{section}.{key.name}"] = variable
        self._refuse_both(_table(given, "instance"))
        self._refuse_both(_table(document, "instance"))
        for section, values in given.items():
            if not isinstance(document.get(section, {}), dict):
                continue  # the parser says so
            table = _table(document, section)
            for name in values:
                table.pop(_twin(name), None)
            document[section] = {**table, **values}

    def fall_back(self, document: dict[str, Any], environ: Mapping[str, str]) -> None:
        """Read the CLERK_ variables where nothing else speaks."""
        if not isinstance(document.get("instance", {}), dict):
            return  # the parser says so
        table = _table(document, "instance")
        given = {}
        for name in FALLBACKS:
            text = environ.get(f"CLERK_{name}".upper(), "").strip()
            if text and name not in table and _twin(name) not in table:
                given[name] = text
                self.variables[f"instance.{name}"] = f"CLERK_{name}".upper()
        self._refuse_both(given)
        if given:
            document["instance"] = {**table, **given}

    def resolve_files(self, document: dict[str, Any], folder: Path) -> None:
        """Put the content of secret files in the place of their names; find the others from the file's folder."""
        keys = _table(document, "keys")
        cache_file = keys.get("cache_file")
        if isinstance(cache_file, str) and cache_file.strip():
            keys["cache_file"] = str(folder / cache_file.strip())
        routes = document.get("routes")
        for route in routes if isinstance(routes, list) else ():
            for name in _TLS_FILES if isinstance(route, dict) else ():
                if isinstance(route.get(name), str) and route[name].strip():
                    route[name] = str(folder / route[name].strip())
        table = _table(document, "instance")
        for name in _SECRETS:
            file = table.get(f"{name}_file")
            if isinstance(file, str) and file and name not in table:
                content = self._read_secret(f"instance.{name}_file", folder / file)
                if content is not None:
                    del table[f"{name}_file"]
                    table[name] = content

    def _read_secret(self, setting: str, file: Path) -> str | None:
        try:
            mode = file.stat().st_mode
            with file.open("rb") as stream:
                content = stream.read(_MAX_SECRET_BYTES + 1)
            text = content.decode("utf-8").strip()
        except OSError as error:
            self._refuse(setting, f"it cannot be read: {error.strerror}", "give a readable file", seen=f'"{file}"')
            return None
        except UnicodeDecodeError:
            self._refuse(setting, "it is not text", "give a file that holds the key alone", seen=f'"{file}"')
            return None
        if not text or len(content) > _MAX_SECRET_BYTES:
            problem = "it is too large" if text else "it is empty"
            self._refuse(setting, problem, "give a file that holds the key alone", seen=f'"{file}"')
            return None
        if mode & stat.S_IROTH and setting != "instance.jwt_key_file":
            fix = f"chmod 600 {file}"
            self.warnings.append(Fault(setting, f'"{file}"', "everybody on this machine can read it", fix))
        return text

    def parse(self, document: Mapping[str, object], *, needs_upstream: bool) -> Settings:
        """Judge the values; faults say which variable they came from."""
        known = {fault.setting for fault in self.faults}
        try:
            settings = parse(document, needs_upstream=needs_upstream)
        except ConfigurationError as error:
            self.faults += [fault for fault in error.faults if fault.setting not in known]
        else:
            if (missing := store_fault(settings.refresh)) is not None:
                self.faults.append(missing)
            if (missing := grpc_fault(settings.decide)) is not None:
                self.faults.append(missing)
            self.faults += tls_faults(settings.routes)
        if self.faults:
            raise ConfigurationError([self._with_variable(fault) for fault in self.faults])
        return replace(settings, warnings=(*settings.warnings, *self.warnings))

    def _with_variable(self, fault: Fault) -> Fault:
        variable = self.variables.get(fault.setting)
        return replace(fault, setting=f"{fault.setting} (from {variable})") if variable else fault

    def _refuse(self, setting: str, problem: str, fix: str, *, seen: str = "") -> None:
        self.faults.append(Fault(setting, seen, problem, fix))

    def _refuse_both(self, table: Mapping[str, object]) -> None:
        for name in _SECRETS:
            if name in table and f"{name}_file" in table:
                self._refuse(f"instance.{name}_file", f"{name} is given too", "keep one of the two")


def _table(document: Mapping[str, Any], section: str) -> dict[str, Any]:
    """Return a section, or an empty one where it is missing or no table (which the parser will say)."""
    table = document.get(section)
    return table if isinstance(table, dict) else {}


def _twin(name: str) -> str:
    """Return the other key that gives the same value: the file's for a secret, and the reverse."""
    if name.removesuffix("_file") not in _SECRETS:
        return name
    return name.removesuffix("_file") if name.endswith("_file") else f"{name}_file"


def _from_text(kind: Kind, text: str) -> object:
    """Turn a variable's text into what the file would hold; what does not fit stays text, and the parser says so."""
    if kind == "list":
        return [part.strip() for part in text.split(",") if part.strip()]
    if kind == "boolean":
        return _BOOLEANS.get(text.lower(), text)
    try:
        return {"integer": int, "number": float}.get(kind, str)(text)
    except ValueError:
        return text
