"""Compiles the modules of the request path with mypyc, where a build asks for it (``HATCH_BUILD_HOOKS_ENABLE=1``)."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompiledModules(BuildHookInterface[Any]):
    """Puts a shared library, and a stub that leads into it for each module, beside the sources in the wheel.

    The tree that is built from stays as it is: a library that is left there would be imported in place of the sources,
    also after they have changed.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile the modules that the configuration lists.

        Args:
            version: "standard", or "editable", which runs from the sources.
            build_data: told of the files to include, and that the wheel is for this platform and Python only.
        """
        if version == "editable":
            return
        self._folder = TemporaryDirectory()  # it goes with this object, when the wheel is complete
        built = self._compile(Path(self._folder.name))
        found = [path for path in built.rglob("*") if path.is_file()]
        build_data["force_include"].update({str(path): str(path.relative_to(built)) for path in found})
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def _compile(self, folder: Path) -> Path:
        # Only there where a build asked for it.
        from mypyc.build import mypycify  # noqa: PLC0415
        from setuptools import Distribution  # noqa: PLC0415

        # Types have been checked before. What is not installed counts as of any type, and is called as Python would.
        options = ["--config-file=", "--cache-dir", str(folder), "--ignore-missing-imports", "--follow-imports=silent"]
        extensions = mypycify(
            [*options, *self.config["modules"]],
            target_dir=str(folder / "c"),
            group_name="gateway",
            opt_level="2",  # 3 takes the compiler longer
            debug_level="0",
        )
        command = Distribution({"ext_modules": extensions}).get_command_obj("build_ext")
        command.build_lib, command.build_temp = str(folder / "built"), str(folder / "objects")
        command.ensure_finalized()
        command.run()
        return folder / "built"
