"""What the exit code of a command says. Scripts and service managers rely on these numbers."""

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
EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code.value:<4} {meaning}" for code, meaning in MEANINGS.items())
