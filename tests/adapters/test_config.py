"""Settings from a file, the environment and secret files."""

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.adapters.config import VARIABLES, load
from gateway.core.instance import InstanceKind, PublishableKey
from gateway.core.settings_model import Settings
from gateway.errors import ConfigurationError, Fault

KEY = PublishableKey.encode(InstanceKind.DEVELOPMENT, "clerk.example.com").value
ROUTES = '[[routes]]\nupstream = "http://127.0.0.1:9000"\n'
INSTANCE = f'[instance]\npublishable_key = "{KEY}"\n'
GOOD = f'{INSTANCE}secret_key = "sk_test_file"\n{ROUTES}'


class Folder:
    """A folder with a configuration."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self, text: str = GOOD, **environ: str) -> Settings:
        (self.path / "config.toml").write_text(text, encoding="utf-8")
        return load(self.path / "config.toml", environ)

    def faults(self, text: str = GOOD, **environ: str) -> tuple[Fault, ...]:
        with pytest.raises(ConfigurationError) as refused:
            self.load(text, **environ)
        return refused.value.faults

    def secret(self, name: str, content: str, mode: int = 0o600) -> Path:
        file = self.path / name
        file.write_text(content, encoding="utf-8")
        file.chmod(mode)
        return file


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def secret_of(settings: Settings) -> str:
    assert settings.instance.secret_key
    return settings.instance.secret_key.reveal()


def test_a_file_is_read(folder: Folder) -> None:
    settings = folder.load()
    assert secret_of(settings) == "sk_test_file"
    assert settings.routes[0].upstream == "http://127.0.0.1:9000"


def test_the_middleware_needs_no_file_and_no_upstream() -> None:
    environ = {"CLERK_PUBLISHABLE_KEY": KEY, "CLERK_SECRET_KEY": "sk_test_env", "PATH": "/bin"}
    assert secret_of(load(None, environ, needs_upstream=False)) == "sk_test_env"
    with pytest.raises(ConfigurationError, match="there is no route"):
        load(None, environ)


@pytest.mark.parametrize(
    ("variable", "text", "section", "field", "expected"),
    [
        ("GATEWAY_SERVER_LISTEN", "0.0.0.0:80", "server", "listen", "0.0.0.0:80"),
        ("GATEWAY_SERVER_WORKERS", " 3 ", "server", "workers", "3"),
        ("GATEWAY_SERVER_DRAIN_S", "2.5", "server", "drain_s", "2.5"),
        (
            "GATEWAY_SERVER_ALLOWED_HOSTS",
            "a.example, b.example,",
            "server",
            "allowed_hosts",
            "('a.example', 'b.example')",
        ),
        ("GATEWAY_SERVER_ALLOWED_HOSTS", "", "server", "allowed_hosts", "()"),
        ("GATEWAY_LOG_ACCESS", "Yes", "log", "access", "True"),
        ("GATEWAY_REFRESH_ENABLED", "0", "refresh", "enabled", "False"),
        ("GATEWAY_LOG_LEVEL", "", "log", "level", "info"),
    ],
)
def test_a_variable_overrides_the_file(
    folder: Folder, variable: str, text: str, section: str, field: str, expected: str
) -> None:
    file = f'{GOOD}[server]\nlisten = "127.0.0.1:1"\nallowed_hosts = ["file.example"]\n'
    settings = folder.load(file, **{variable: text})
    assert str(getattr(getattr(settings, section), field)) == expected


def test_every_scalar_and_list_has_a_variable_and_tables_have_none() -> None:
    assert {"GATEWAY_INSTANCE_SECRET_KEY_FILE", "GATEWAY_REFRESH_METHODS", "GATEWAY_IDENTITY_PREFIX"} <= set(VARIABLES)
    assert not {"GATEWAY_IDENTITY_CLAIMS", "GATEWAY_ROUTES_PATH"} & set(VARIABLES)


def test_a_faulty_variable_is_named(folder: Folder) -> None:
    environ = {"GATEWAY_SERVER_WORKERS": "many", "GATEWAY_REFRESH_ENABLED": "perhaps", "GATEWAY_LOG_FORMAT": "xml"}
    assert [fault.setting for fault in folder.faults(**environ)] == [
        "server.workers (from GATEWAY_SERVER_WORKERS)",
        "refresh.enabled (from GATEWAY_REFRESH_ENABLED)",
        "log.format (from GATEWAY_LOG_FORMAT)",
    ]


def test_an_unknown_variable_is_a_fault_that_names_the_nearest(folder: Folder) -> None:
    typo, odd = folder.faults(GATEWAY_SERVER_WORKRS="2", GATEWAY_ZZZ="sk_live_Private")
    assert (typo.setting, typo.fix) == ("GATEWAY_SERVER_WORKRS", "did you mean GATEWAY_SERVER_WORKERS?")
    assert odd.fix.startswith("variables are named")
    assert "Private" not in str(odd)


def test_the_variable_of_the_command_line_is_no_setting(folder: Folder) -> None:
    assert folder.load(GATEWAY_CONFIG="config.toml")


def test_faults_of_file_and_environment_come_together(folder: Folder) -> None:
    found = folder.faults(GOOD + "[log]\nlevl = 1\n", GATEWAY_NOPE="1", GATEWAY_SERVER_LISTEN="x")
    assert [fault.setting for fault in found] == [
        "GATEWAY_NOPE",
        "server.listen (from GATEWAY_SERVER_LISTEN)",
        "log.levl",
    ]


def test_clerk_variables_count_where_the_file_is_silent(folder: Folder) -> None:
    environ = {"CLERK_SECRET_KEY": "sk_test_env", "CLERK_PUBLISHABLE_KEY": "pk_test_broken"}
    settings = folder.load(INSTANCE + ROUTES, **environ)
    assert secret_of(settings) == "sk_test_env"
    assert settings.instance.publishable_key.value == KEY
    assert secret_of(folder.load(GOOD, CLERK_SECRET_KEY="sk_test_env")) == "sk_test_file"
    assert (
        secret_of(folder.load(GOOD, GATEWAY_INSTANCE_SECRET_KEY="sk_test_over", CLERK_SECRET_KEY="x")) == "sk_test_over"
    )
    (fault,) = folder.faults(ROUTES, CLERK_PUBLISHABLE_KEY="pk_nope", CLERK_SECRET_KEY="sk_test_a")
    assert fault.setting == "instance.publishable_key (from CLERK_PUBLISHABLE_KEY)"


def test_a_clerk_variable_does_not_compete_with_a_file_that_is_named(folder: Folder) -> None:
    folder.secret("key", "sk_test_named\n")
    settings = folder.load(f'{INSTANCE}secret_key_file = "key"\n{ROUTES}', CLERK_SECRET_KEY="sk_test_env")
    assert secret_of(settings) == "sk_test_named"


def test_secrets_come_from_files_beside_the_configuration(folder: Folder) -> None:
    public = rsa.generate_private_key(65537, 2048).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    folder.secret("key", "  sk_test_named\n")
    folder.secret("jwt.pem", pem, 0o644)
    settings = folder.load(f'{INSTANCE}secret_key_file = "key"\njwt_key_file = "jwt.pem"\n{ROUTES}')
    assert secret_of(settings) == "sk_test_named"
    assert settings.instance.jwt_key == pem
    assert settings.warnings == ()


@pytest.mark.parametrize("variable", ["GATEWAY_INSTANCE_SECRET_KEY_FILE", "CLERK_SECRET_KEY_FILE"])
def test_a_variable_may_name_the_file(folder: Folder, variable: str) -> None:
    file = folder.secret("elsewhere", "sk_test_named")
    assert secret_of(folder.load(INSTANCE + ROUTES, **{variable: str(file)})) == "sk_test_named"


def test_a_variable_replaces_the_file_s_other_way_to_give_the_secret(folder: Folder) -> None:
    file = folder.secret("elsewhere", "sk_test_named")
    assert secret_of(folder.load(GOOD, GATEWAY_INSTANCE_SECRET_KEY_FILE=str(file))) == "sk_test_named"
    named = f'{INSTANCE}secret_key_file = "missing"\n{ROUTES}'
    assert secret_of(folder.load(named, GATEWAY_INSTANCE_SECRET_KEY="sk_test_env")) == "sk_test_env"


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        (f'{INSTANCE}secret_key = "sk_test_a"\nsecret_key_file = "key"\n{ROUTES}', {}),
        (INSTANCE + ROUTES, {"CLERK_SECRET_KEY": "sk_test_a", "CLERK_SECRET_KEY_FILE": "key"}),
        (INSTANCE + ROUTES, {"GATEWAY_INSTANCE_SECRET_KEY": "sk_test_a", "GATEWAY_INSTANCE_SECRET_KEY_FILE": "key"}),
    ],
)
def test_a_secret_given_twice_in_one_place_is_one_fault(folder: Folder, text: str, environ: dict[str, str]) -> None:
    (fault,) = folder.faults(text, **environ)
    assert fault.setting.startswith("instance.secret_key_file")
    assert "keep one" in fault.fix


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "No such file"),
        (b"", "empty"),
        (b" \n", "empty"),
        (b"\xff\xfe", "not text"),
        (b"x" * 70_000, "too large"),
    ],
)
def test_a_secret_file_that_cannot_be_used_is_one_fault(folder: Folder, content: bytes | None, problem: str) -> None:
    if content is not None:
        (folder.path / "key").write_bytes(content)
    (fault,) = folder.faults(f'{INSTANCE}secret_key_file = "key"\n{ROUTES}')
    assert fault.setting == "instance.secret_key_file"
    assert problem in fault.problem
    assert str(folder.path / "key") in fault.seen


def test_the_content_of_a_faulty_secret_file_is_not_shown(folder: Folder) -> None:
    folder.secret("key", "my private password")
    (fault,) = folder.faults(f'{INSTANCE}secret_key_file = "key"\n{ROUTES}')
    assert fault.setting == "instance.secret_key"
    assert "private" not in str(fault)


def test_a_secret_file_that_everybody_can_read_is_a_warning(folder: Folder) -> None:
    folder.secret("key", "sk_test_a", 0o604)
    (warning,) = folder.load(f'{INSTANCE}secret_key_file = "key"\n{ROUTES}').warnings
    assert warning.setting == "instance.secret_key_file"
    assert "chmod 600" in warning.fix


def machine_key_of(settings: Settings) -> str:
    assert settings.instance.machine_secret_key
    return settings.instance.machine_secret_key.reveal()


def test_a_machine_s_key_comes_from_the_environment_or_a_file(folder: Folder) -> None:
    file = folder.secret("machine", "ak_named\n")
    named = GOOD.replace("[instance]\n", '[instance]\nmachine_secret_key_file = "machine"\n')
    assert machine_key_of(folder.load(CLERK_MACHINE_SECRET_KEY="ak_env")) == "ak_env"
    assert machine_key_of(folder.load(CLERK_MACHINE_SECRET_KEY_FILE=str(file))) == "ak_named"
    assert machine_key_of(folder.load(GATEWAY_INSTANCE_MACHINE_SECRET_KEY="ak_over")) == "ak_over"
    assert machine_key_of(folder.load(named, CLERK_MACHINE_SECRET_KEY="ak_env")) == "ak_named"
    (fault,) = folder.faults(named, CLERK_MACHINE_SECRET_KEY="x", GATEWAY_INSTANCE_MACHINE_SECRET_KEY="ak_a b")
    assert fault.setting == "instance.machine_secret_key (from GATEWAY_INSTANCE_MACHINE_SECRET_KEY)"


def test_a_machine_s_key_that_everybody_can_read_is_a_warning(folder: Folder) -> None:
    folder.secret("machine", "ak_named", 0o604)
    settings = folder.load(GOOD.replace("[instance]\n", '[instance]\nmachine_secret_key_file = "machine"\n'))
    assert [warning.setting for warning in settings.warnings] == ["instance.machine_secret_key_file"]


def test_a_syntax_error_names_the_line(folder: Folder) -> None:
    (fault,) = folder.faults("[instance]\nsecret_key = sk_live_Private\n")
    assert "line 2" in fault.problem
    assert "Private" not in str(fault)


def test_a_file_that_is_not_utf_8_is_a_fault(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        load(file, {})


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load(tmp_path / name, {})


@pytest.mark.parametrize("text", ["instance = 3\n", "server = 3\n"])
def test_a_section_of_the_wrong_shape_stays_a_fault_under_variables(folder: Folder, text: str) -> None:
    environ = {
        "CLERK_SECRET_KEY": "sk_test_a",
        "GATEWAY_INSTANCE_API_URL": "https://a.example",
        "GATEWAY_SERVER_WORKERS": "1",
    }
    found = folder.faults(text + ROUTES, CLERK_PUBLISHABLE_KEY=KEY, **environ)
    assert "it is not a table" in {fault.problem for fault in found}


def test_the_environment_of_this_process_is_not_read(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "GATEWAY_SERVER_WORKERS", "7")
    assert folder.load().server.workers == 1


def test_the_key_file_is_found_from_the_configurations_folder(folder: Folder, tmp_path: Path) -> None:
    assert folder.load(GOOD).keys.cache_file is None
    assert folder.load(f'{GOOD}[keys]\ncache_file = " keys.json "').keys.cache_file == str(tmp_path / "keys.json")
    assert folder.load(GOOD, GATEWAY_KEYS_CACHE_FILE="/var/keys.json").keys.cache_file == "/var/keys.json"
    (fault,) = folder.faults(f"{GOOD}[keys]\ncache_file = 5")
    assert fault.setting == "keys.cache_file"


def test_certificates_of_upstreams_are_found_from_the_configurations_folder(folder: Folder, tmp_path: Path) -> None:
    text = GOOD.replace("http://", "https://") + 'tls_ca_file = "ca.pem"\ntls_certificate_file = "own.pem"\n'
    (fault,) = folder.faults(text)
    assert (fault.setting, fault.seen) == ("routes[0].tls_ca_file", f'"{tmp_path / "ca.pem"}"')
    (tmp_path / "ca.pem").write_text("no certificate")
    (fault,) = folder.faults(text)
    assert "does not hold" in fault.problem
    (fault,) = folder.faults(text.replace('tls_ca_file = "ca.pem"\n', ""))
    assert (fault.setting, fault.seen) == ("routes[0].tls_certificate_file", f'"{tmp_path / "own.pem"}"')
    assert "No such file" in fault.problem
