"""The image and the manifest of deploy/: no image is built, but their steps, commands, ports and paths are tried."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from gateway.core.settings_model import ServerSettings
from tests.e2e.processes import clean_environment, free_port

ROOT = Path(__file__).parents[2]
INSTALLED = "/opt/session-gateway"


@dataclass
class Stage:
    """What stands between one FROM and the next."""

    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, word: str) -> list[str]:
        return [rest for first, rest in self.steps if first == word]

    def only(self, word: str) -> str:
        (found,) = self.all(word)
        return found


def stages() -> list[Stage]:
    text = re.sub(r"\\\n\s*", "", (ROOT / "deploy" / "Dockerfile").read_text("utf-8"))
    found: list[Stage] = []
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            found.append(Stage(rest.partition(" ")[0]))
        elif word and word != "#":
            found[-1].steps.append((word, rest))
    return found


BUILD, IMAGE = stages()
HEALTH = IMAGE.only("HEALTHCHECK").partition("CMD ")[2]


def manifest() -> dict[str, Any]:
    documents = yaml.safe_load_all((ROOT / "deploy" / "kubernetes.yml").read_text("utf-8"))
    return {document["kind"]: document for document in documents}


def container() -> dict[str, Any]:
    (found,) = manifest()["Deployment"]["spec"]["template"]["spec"]["containers"]
    return dict(found)


def test_only_known_words_are_used_and_both_stages_have_one_python_that_is_named_in_full() -> None:
    words = {word for stage in (BUILD, IMAGE) for word, _ in stage.steps}
    assert words <= {"WORKDIR", "COPY", "RUN", "USER", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
    assert BUILD.base == IMAGE.base.replace("-slim", "")  # without a compiler, and with one
    assert re.fullmatch(r"python:3\.1[1-9]-slim-[a-z]+", IMAGE.base)
    version = IMAGE.base.partition(":")[2].partition("-")[0]
    assert f"Programming Language :: Python :: {version}" in (ROOT / "pyproject.toml").read_text("utf-8")


def test_the_image_runs_as_nobody_and_holds_nothing_but_what_is_installed() -> None:
    user, group = map(int, IMAGE.only("USER").split(":"))
    assert min(user, group) > 0
    assert IMAGE.all("COPY") == [f"--from=build {INSTALLED} {INSTALLED}"]
    assert IMAGE.all("RUN") == []
    last = [word for word, _ in IMAGE.steps]
    assert last.index("USER") < last.index("ENTRYPOINT")


def test_what_is_copied_is_there_and_is_no_secret() -> None:
    copied = [name for rest in BUILD.all("COPY") for name in rest.split()[:-1]]
    assert copied == ["pyproject.toml", "hatch_build.py", "requirements.lock", "README.md", "LICENSE", "gateway"]
    assert all((ROOT / name).exists() for name in copied)


def test_image_manifest_and_settings_agree_about_ports_paths_and_users() -> None:
    spec, own, port = manifest()["Deployment"]["spec"], container(), int(IMAGE.only("EXPOSE"))
    assert port == ServerSettings().listen.port
    assert [each["containerPort"] for each in own["ports"]] == [port]
    assert [each["port"] for each in manifest()["Service"]["spec"]["ports"]] == [port]
    assert {own[probe]["httpGet"]["port"] for probe in ("readinessProbe", "livenessProbe")} == {port}
    assert f", {port}, " in HEALTH
    (mount,) = (each["mountPath"] for each in own["volumeMounts"] if each["name"] == "config")
    (name,) = manifest()["ConfigMap"]["data"]
    assert json.loads(IMAGE.only("CMD")) == ["serve", "--config", f"{mount}/{name}"]
    assert spec["template"]["metadata"]["labels"] == spec["selector"]["matchLabels"]
    assert manifest()["Service"]["spec"]["selector"] == spec["selector"]["matchLabels"]
    volumes = {volume["name"] for volume in spec["template"]["spec"]["volumes"]}
    assert volumes == {each["name"] for each in own["volumeMounts"]}


def test_a_cluster_that_asks_for_restricted_pods_takes_them_and_lets_them_finish() -> None:
    """Pod Security Standards, "restricted"."""
    context = container()["securityContext"]
    assert context["runAsNonRoot"]
    assert context["readOnlyRootFilesystem"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    grace_s = manifest()["Deployment"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace_s > ServerSettings().drain_s


def run(command: list[str], environment: dict[str, str], folder: Path = Path("/")) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.e2e
@pytest.mark.timeout(600)
def test_the_steps_of_the_image_install_a_gateway_that_serves_the_manifests_configuration(tmp_path: Path) -> None:
    source, installed, port = tmp_path / "source", tmp_path / "installed", free_port()
    source.mkdir()
    for rest in BUILD.all("COPY"):
        *names, _ = rest.split()
        for name in names:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, source / name)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = clean_environment(PATH=path, CLERK_SECRET_KEY="sk_test_donotprintmedonotprintme")
    for step in BUILD.all("RUN"):
        command = step.replace(INSTALLED, str(installed))
        done = run(["sh", "-c", command], environment, source)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    shutil.rmtree(source)
    assert run([str(installed / "bin" / "gateway"), "--version"], environment).stdout.endswith(" (compiled)\n")

    (tmp_path / "config.toml").write_text(manifest()["ConfigMap"]["data"]["config.toml"].replace("8000", str(port)))
    start = json.loads(IMAGE.only("ENTRYPOINT")) + json.loads(IMAGE.only("CMD"))
    start[-1] = str(tmp_path / "config.toml")
    health = [part.replace("8000", str(port)) for part in json.loads(HEALTH)]
    start, health = ([part.replace(INSTALLED, str(installed)) for part in each] for each in (start, health))
    assert run(health, environment).returncode == 1
    with subprocess.Popen(
        start, cwd="/", env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as served:
        assert served.stdout is not None
        seen: list[str] = []
        while not seen or ("listens on" not in seen[-1] and seen[-1]):
            seen.append(served.stdout.readline())
        try:
            assert "listens on" in seen[-1], f"{shlex.join(start)}\n{''.join(seen)}"
            healthy = run(health, environment)
            assert healthy.returncode == 0, healthy.stderr
            probes = [container()[probe]["httpGet"]["path"] for probe in ("livenessProbe", "readinessProbe")]
            found = [httpx.get(f"http://127.0.0.1:{port}{probe}", trust_env=False) for probe in probes]
            # Ready it is when it has the keys, and there is no instance to have them from.
            assert (found[0].status_code, found[0].json()["status"]) == (200, "ok")
            assert (found[1].status_code, found[1].json()["status"]) == (503, "not ready")
        finally:
            served.terminate()
