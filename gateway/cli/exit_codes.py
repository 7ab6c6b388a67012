"""What the exit code of a command says. Scripts and service managers rely on these numbers."""

from collections.abc import Mapping
from enum import IntEnum


class ExitCode(IntEnum):
    """One number for each way to end."""

    OK = 0
    FAILED = 1
    CONFIGURATION = 2
    CANNOT_LISTEN = 3
    UNREACHABLE = 4
    INTERRUPTED = 130


MEANINGS = {
    ExitCode.OK: "done, or stopped by SIGTERM after the requests in flight",
    ExitCode.FAILED: "it failed while it ran; the message says why",
    ExitCode.CONFIGURATION: "wrong usage or configuration; every fault is named",
    ExitCode.CANNOT_LISTEN: "the address to listen on cannot be had",
    ExitCode.UNREACHABLE: "the API could not be reached",
    ExitCode.INTERRUPTED: "interrupted by Ctrl-C",
}


def _epilog(meanings: Mapping[ExitCode, str]) -> str:
    return "\b\nExit codes:\n" + "\n".join(f"  {code.value:<4} {meaning}" for code, meaning in meanings.items())


EPILOG = _epilog(MEANINGS)
# of commands that change the file of an authority and listen to nothing
DATABASE_EPILOG = _epilog(
    {
        ExitCode.OK: "done",
        ExitCode.FAILED: "it was refused or failed, or you said no; the message says why",
        ExitCode.CONFIGURATION: "wrong usage, or it names something that is not there; nothing was changed",
        ExitCode.INTERRUPTED: MEANINGS[ExitCode.INTERRUPTED],
    }
)
# of commands that ask the Sessions API
API_EPILOG = _epilog(
    {
        ExitCode.OK: "done",
        ExitCode.FAILED: "the API refused or failed, or you said no; the message says why",
        ExitCode.CONFIGURATION: "wrong usage or configuration; nothing was sent",
        ExitCode.UNREACHABLE: MEANINGS[ExitCode.UNREACHABLE],
        ExitCode.INTERRUPTED: MEANINGS[ExitCode.INTERRUPTED],
    }
)
