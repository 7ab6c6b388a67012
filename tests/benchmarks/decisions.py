"""What a decision costs behind nginx: auth_request asks the gateway, or a static ``return 204``.

    python -m tests.benchmarks.decisions [--seconds 5] [--rounds 3]        needs nginx, wrk and two cores
    python -m tests.benchmarks.decisions --compiled tests/compiled/.venv    the compiled gateway in the same table

The load and the application have CPU 0; nginx with the files of deploy/nginx and whoever it asks share CPU 1.
"""

import argparse
import re
import shutil
import statistics
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path

from gateway.core.original import Front
from tests.benchmarks.proxy import LOAD, PROXY, cpu_s, gateways, offer_compiled, running
from tests.benchmarks.world import KEY, World
from tests.e2e.processes import free_port
from tests.fronts.fronts_kit import Ports, binary, lay_out

_STATIC = """
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    keepalive_requests 100000000;
    server {{ listen {port}; location / {{ {answer} }} }}
}}
"""
_CONFIG = """
[instance]
publishable_key = "{key}"
secret_key = "sk_live_benchmark"
jwt_key = '''{pem}'''
sign_in_url = "https://accounts.bench.test/sign-in"

[server]
listen = "127.0.0.1:{port}"

[decide]
fronts = ["nginx"]
trusted = ["127.0.0.1/32"]
"""
_SCRIPT = """
wrk.headers["Authorization"] = "Bearer {token}"
wrk.headers["Host"] = "app.bench.test"
wrk.headers["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"
wrk.headers["Accept"] = "application/json"
"""


def nginx(folder: Path, name: str) -> list[str]:
    """The command that runs nginx with a file of this folder."""
    return ["nginx", "-p", str(folder), "-c", name, "-e", "stderr", "-g", f"daemon off; pid {folder}/{name}.pid;"]


def static(folder: Path, name: str, port: int, answer: str) -> list[str]:
    """The command of an nginx that always answers the same."""
    (folder / name).write_text(_STATIC.format(folder=folder, port=port, answer=answer))
    return nginx(folder, name)


def load(port: int, script: Path, seconds: int, *pids: int) -> tuple[float, float]:
    """Return requests per second over 64 connections, and microseconds of these processes for each of them."""
    before_s = sum(map(cpu_s, pids))
    command = [
        "taskset",
        "-c",
        "0",
        "wrk",
        "-t1",
        "-c64",
        f"-d{seconds}s",
        "-s",
        str(script),
        f"http://127.0.0.1:{port}/items",
    ]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in printed or "Socket errors" in printed:
        raise SystemExit(printed)
    rate, count = re.search(r"Requests/sec: +([0-9.]+)", printed), re.search(r"([0-9]+) requests in", printed)
    assert rate is not None
    assert count is not None
    return float(rate[1]), (sum(map(cpu_s, pids)) - before_s) / int(count[1]) * 1e6


def main() -> None:
    """Measure, and print the medians."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=int, default=5)
    options.add_argument("--rounds", type=int, default=3)
    offer_compiled(options)
    asked = options.parse_args()
    if binary(Front.NGINX) is None or shutil.which("wrk") is None:
        raise SystemExit("this needs nginx and wrk")
    world = World.new()
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        folder.chmod(0o755)
        script = folder / "load.lua"
        script.write_text(_SCRIPT.format(token=world.token(1)))
        app_port, gateway_port, static_port = free_port(), free_port(), free_port()
        payload = '{"items":["' + "x" * 1000 + '"]}'
        stack.enter_context(running(LOAD, static(folder, "app.conf", app_port, f"return 200 '{payload}';"), app_port))
        config = folder / "config.toml"
        config.write_text(_CONFIG.format(key=KEY.value, pem=world.pem, port=gateway_port))
        config.chmod(0o600)
        backends = {"return 204": (static(folder, "static.conf", static_port, "return 204;"), static_port)}
        for name, command in gateways(asked.compiled).items():
            backends[name] = ([*command, "serve", "--config", str(config)], gateway_port)
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in ("no question", *backends)}
        for _ in range(asked.rounds):
            found["no question"].append(_plain(folder, app_port, script, asked.seconds))
            for name, (command, port) in backends.items():
                own = folder / f"front-{port}"
                own.mkdir(exist_ok=True)
                ports = Ports(free_port(), port, app_port)
                lay_out(Front.NGINX, own, ports)
                with (
                    running(PROXY, command, port) as backend,
                    running(PROXY, nginx(own, "nginx.conf"), ports.front) as front,
                ):
                    load(ports.front, script, 1)
                    found[name].append(load(ports.front, script, asked.seconds, front, backend))
    _show({name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in found.items()})


def _show(rows: dict[str, list[float]]) -> None:
    base_rate, base_us = rows["return 204"]
    print(
        "| nginx asks | requests per second | x return 204 | microseconds of processor | x return 204, by processor |"
    )
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, (rate, each_us) in rows.items():
        print(f"| {name} | {rate:,.0f} | {rate / base_rate:.2f} | {each_us:.0f} | {base_us / each_us:.2f} |")


def _plain(folder: Path, app_port: int, script: Path, seconds: int) -> tuple[float, float]:
    port = free_port()
    text = _STATIC.format(folder=folder, port=port, answer="proxy_pass http://app; proxy_http_version 1.1;")
    upstream = f"upstream app {{ server 127.0.0.1:{app_port}; keepalive 64; }}"
    text = text.replace("access_log off;", f'access_log off; {upstream} proxy_set_header Connection "";')
    (folder / "plain.conf").write_text(text)
    with running(PROXY, nginx(folder, "plain.conf"), port) as front:
        load(port, script, 1)
        return load(port, script, seconds, front)


if __name__ == "__main__":
    main()
