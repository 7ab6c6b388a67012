"""Where things are: the page names every module of the engine, and none that is not there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "gateway"
ENGINE = ("core", "authenticator", "adapters", "surfaces", "upstream", "websocket")
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
TABLE = PAGE.partition("## Where things are")[2].partition("\n## ")[0]
NAMED = set(re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.py)`", TABLE))
MODULES = {
    f"{folder}/{path.name}" for folder in ENGINE for path in (PACKAGE / folder).glob("*.py") if path.stem != "__init__"
}


def test_the_table_names_every_module_of_the_engine() -> None:
    missing = {module for module in MODULES if not NAMED & {module, module.partition("/")[2]}}
    assert not missing


def test_the_table_names_nothing_that_is_not_there() -> None:
    known = MODULES | {module.partition("/")[2] for module in MODULES} | {path.name for path in PACKAGE.glob("*.py")}
    known |= {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.glob("authority/**/*.py")}
    known |= {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.glob("testing/*.py")}
    known |= {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.glob("cli/*.py")}
    known |= {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.glob("server/*.py")}
    assert not NAMED - known
