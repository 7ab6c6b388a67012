"""Shortcodes in the claims of a JWT template: ``{{user.id}}``, ``{{a || b || 'x'}}``.

Facts: Sessions API section 4. A shortcode alone keeps the JSON type of its value; inside a longer text it becomes text
(missing: "null"). Dots reach into objects. What is unknown is null. With ``||`` the first operand that is neither null
nor false counts, else the last one. Literals are single-quoted texts, numbers and booleans.
"""

import json
import re
from collections.abc import Mapping

# Every branch takes what it can and gives nothing back, so an expression of any length costs what its length costs.
_PART = re.compile(r"'[^']*'|\|\||[^|']+|[|']")
_LITERAL = re.compile(r"'[^']*'")
_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,15})?\Z")
_WORDS: Mapping[str, object] = {"true": True, "false": False, "null": None}


def fill(claims: object, facts: Mapping[str, object]) -> object:
    """A copy of the claims with every shortcode replaced.

    Args:
        claims: JSON value; texts in it may hold shortcodes.
        facts: what the first word of a path names, e.g. ``user``, ``org``.
    """
    if isinstance(claims, str):
        return _fill_text(claims, facts)
    if isinstance(claims, Mapping):
        return {str(name): fill(value, facts) for name, value in claims.items()}
    if isinstance(claims, list | tuple):
        return [fill(value, facts) for value in claims]
    return claims


def _fill_text(text: str, facts: Mapping[str, object]) -> object:
    filled: list[str] = []
    place = 0
    while (start := text.find("{{", place)) >= 0 and (end := text.find("}}", start + 2)) >= 0:
        value = _evaluate(text[start + 2 : end], facts)
        if start == 0 and end + 2 == len(text):
            return value
        filled += [text[place:start], _as_text(value)]
        place = end + 2
    return "".join([*filled, text[place:]])


def _evaluate(expression: str, facts: Mapping[str, object]) -> object:
    value: object = None
    for operand in _operands(expression):
        value = _operand(operand, facts)
        if value is not None and value is not False:
            break
    return value


def _operands(expression: str) -> list[str]:
    """What stands between ``||``, without those in quotes."""
    operands: list[list[str]] = [[]]
    for part in _PART.findall(expression):
        if part == "||":
            operands.append([])
        else:
            operands[-1].append(part)
    texts = ("".join(parts).strip() for parts in operands)
    return [text for text in texts if text]


def _operand(operand: str, facts: Mapping[str, object]) -> object:
    if _LITERAL.fullmatch(operand):
        return operand[1:-1]
    if operand in _WORDS:
        return _WORDS[operand]
    if _NUMBER.match(operand):
        return float(operand) if "." in operand else int(operand)
    value: object = facts
    for name in operand.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
