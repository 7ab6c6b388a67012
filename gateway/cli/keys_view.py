"""What ``gateway check`` says about the keys: where they come from, what the key file holds, what the source says."""

import asyncio
import logging
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.assemble import build, key_file, keys_address
from gateway.cli.console import errors, print_error
from gateway.cli.exit_codes import ExitCode
from gateway.core.advice import advice
from gateway.core.reasons import Reason
from gateway.core.settings_model import KeysSettings, Settings
from gateway.ports import KeysStatus


@dataclass(frozen=True, slots=True)
class KeysView:
    """What was found.

    Attributes:
        source: the address, or the setting that holds the key.
        file: the key file's path; empty for none.
        file_age_s: seconds since its keys were fetched; None when it holds none that can be used.
        status: what the source said; None when it was not asked.
    """

    source: str
    file: str
    file_age_s: float | None
    status: KeysStatus | None

    @property
    def exit_code(self) -> ExitCode:
        """What the keys mean for the command's end."""
        if self.status is None or self.status.is_ready:
            return ExitCode.OK
        is_refused = self.status.reason == Reason.SECRET_KEY_INVALID
        return ExitCode.CONFIGURATION if is_refused else ExitCode.UNREACHABLE

    @property
    def shown(self) -> dict[str, object]:
        """As JSON."""
        age_s = None if self.file_age_s is None else round(self.file_age_s)
        found: dict[str, object] = {"source": self.source, "file": self.file or None, "file_age_s": age_s}
        if self.status is not None:
            found |= {"state": self.status.state, "reason": self.status.reason, "detail": self.status.detail}
        return found

    @property
    def _file_state(self) -> str:
        if self.file_age_s is not None:
            return f"holds keys of {self.file_age_s:.0f} s ago"
        if Path(self.file).exists():
            return "holds no keys that can be used"
        has_folder = Path(self.file).parent.is_dir()
        return "is not there yet" if has_folder else "cannot be written: its folder is not there; make it"

    def print(self) -> None:
        """Write it for people."""
        line = f"keys: from {self.source}"
        if self.file:
            line += f"; {self.file} {self._file_state}"
        if self.status is not None and self.status.is_ready:
            line += f"; asked: {self.status.state}"
        errors().print(line, markup=False)
        if self.status is not None and not self.status.is_ready:
            problem = f"the keys cannot be had: {self.status.reason}: {self.status.detail}"
            print_error(f"{problem}. {advice(self.status.reason)}")


def look_at_keys(settings: Settings, *, asks: bool) -> KeysView:
    """Look at the key file, and ask the source where that is wanted; why a file is not used is logged.

    Args:
        settings: judged.
        asks: whether the source is asked.
    """
    file = key_file(settings, writes=False)
    kept = file.read() if file is not None else None
    return KeysView(
        source=keys_address(settings.instance) or "instance.jwt_key",
        file=str(file.path) if file is not None else "",
        file_age_s=kept.age_s if kept is not None else None,
        status=asyncio.run(_ask(settings)) if asks else None,
    )


async def _ask(settings: Settings) -> KeysStatus:
    # Without the file: what is wanted to know is whether the source answers. What the log would say is printed.
    engine = build(replace(settings, keys=KeysSettings()))
    log = logging.getLogger("gateway.adapters.jwks")
    log.setLevel(logging.CRITICAL)
    try:
        return await engine.keys.warm()
    finally:
        log.setLevel(logging.NOTSET)
        await engine.close()
