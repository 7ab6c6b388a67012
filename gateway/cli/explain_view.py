"""An explanation as text for people and as JSON for programs."""

from dataclasses import asdict

from rich.text import Text

from gateway.core.trace import Mark, Step
from gateway.surfaces.explaining import Explanation

_STYLES = {Mark.OK: "green", Mark.NO: "bold red", Mark.CHOSEN: "cyan", Mark.ASKED: "yellow", Mark.SKIPPED: "dim"}
_MARK_WIDTH = max(len(mark) for mark in Mark)


def report(explanation: Explanation) -> Text:
    """Return the report: the request, the steps, the answer, and what to do."""
    width = max((len(step.what) for step in explanation.steps), default=0)
    text = Text.assemble((f"{explanation.method} {explanation.url or '(not readable)'}", "bold"))
    text.append(f"\n  from {explanation.client}\n\n" if explanation.client else "\n\n")
    for step in explanation.steps:
        text.append_text(_line(step, width))
    text.append("\n")
    for label, value in _answer(explanation):
        text.append(f"{label:<11} ", "bold").append(f"{value}\n")
    return text.append(f"{'what to do':<11} ", "bold").append(explanation.what_to_do, "green")


def _line(step: Step, width: int) -> Text:
    mark = (f"{step.mark:<{_MARK_WIDTH}}", _STYLES[step.mark])
    return Text.assemble(
        "  ", mark, f"  {step.what:<{width}}  ".rstrip() if not step.detail else "", _rest(step, width)
    )


def _rest(step: Step, width: int) -> Text:
    if not step.detail:
        return Text("\n")
    return Text.assemble(f"  {step.what:<{width}}  ", (step.detail, "dim" if step.mark is Mark.SKIPPED else ""), "\n")


def _answer(explanation: Explanation) -> list[tuple[str, str]]:
    lines = [("decision", " ".join(filter(None, (explanation.state, explanation.reason))))]
    if explanation.message:
        lines.append(("message", explanation.message))
    if explanation.cause:
        lines.append(("loop", explanation.cause))
    lines.append(("answer", _outcome(explanation)))
    if explanation.location:
        lines.append(("location", explanation.location))
    if explanation.cookies:
        lines.append(("set-cookie", ", ".join(explanation.cookies)))
    lines += [("header", f"{name}: {value}") for name, value in explanation.identity]
    return lines


def _outcome(explanation: Explanation) -> str:
    if explanation.passes:
        outcome = f"goes on to {explanation.upstream}" if explanation.upstream else "goes on"
    else:
        outcome = str(explanation.status)
    return f"{outcome} (if the Sessions API refused; it was not asked)" if explanation.not_asked else outcome


def document(explanation: Explanation, warnings: list[str]) -> dict[str, object]:
    """Return the same as JSON."""
    found = asdict(explanation)
    return {
        **found,
        "identity": dict(explanation.identity),
        "not_asked": list(explanation.not_asked),
        "warnings": warnings,
    }
