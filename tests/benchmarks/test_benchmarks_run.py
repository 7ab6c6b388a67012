"""The benchmarks still run; what they measure is for people to read, never for a test to judge."""

import re
import shutil
import subprocess
import sys

import pytest

from tests.benchmarks.proxy import TOOLS


def test_the_decision_benchmark_prints_every_row():
    command = [sys.executable, "-m", "tests.benchmarks.decide", "--quick"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=110).stdout
    rows = (
        "OpenSSL, the signature alone",
        "PyJWT, a bare decode",
        "official Python SDK, authenticate_request",
        "an unseen token, the whole decision",
        "a known Bearer token, of 100",
        "a browser's known cookies, of 100",
        "memory of one remembered token",
    )
    assert [row for row in rows if row not in printed] == []


def test_the_benchmark_of_routes_prints_every_row():
    command = [sys.executable, "-m", "tests.benchmarks.routes", "--quick"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=110).stdout
    for row in ("prefixes of one host", "exact paths of one host", "hosts", "wildcards of hosts"):
        assert printed.count(f"\n| {row} |") == 2


def test_the_authority_benchmark_prints_every_row():
    command = [sys.executable, "-m", "tests.benchmarks.authority", "--quick"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=110).stdout
    rows = (
        "OpenSSL, a bare RS256 signature",
        "share of the signature in a mint",
        "bytes of each",
        "answers per second over HTTP",
    )
    assert [row for row in rows if row not in printed] == []
    for name in ("mint", "get", "list by user", "list by client", "list all", "refresh", "create", "revoke"):
        assert printed.count(f"\n{name}") == 2


@pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason=f"needs {', '.join(TOOLS)}")
def test_the_proxy_benchmark_prints_every_row():
    command = [sys.executable, "-m", "tests.benchmarks.proxy", "--quick"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=110).stdout
    for name in ("nginx-plain", "haproxy-jwt", "gateway"):
        assert printed.count(f"\n{name} ") == 2
    assert [line for line in printed.splitlines() if line.startswith("gateway") and not line.endswith(" 0")] == []


def test_the_soak_finds_memory_and_files_flat():
    command = [sys.executable, "-m", "tests.benchmarks.soak", "--seconds", "5"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=110).stdout
    assert "memory and open files are flat" in printed


def test_of_every_fault_nothing_is_left():
    command = [sys.executable, "-m", "tests.benchmarks.leaks", "--times", "40"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)
    assert "nothing is left of any" in done.stdout, done.stdout + done.stderr


@pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason=f"needs {', '.join(TOOLS)}")
def test_the_benchmark_of_decisions_prints_every_row():
    command = [sys.executable, "-m", "tests.benchmarks.decisions", "--seconds", "1", "--rounds", "1"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=110).stdout
    for row in ("no question", "return 204", "gateway"):
        assert printed.count(f"\n| {row} |") == 1


@pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason=f"needs {', '.join(TOOLS)}")
def test_the_benchmark_of_idle_clients_prints_what_they_cost():
    command = [sys.executable, "-m", "tests.benchmarks.idle", "--clients", "50", "--rounds", "1", "--seconds", "1"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=110).stdout
    assert re.search("^median: a request costs [+-][0-9.]+%, an idle client -?[0-9.]+ KiB$", printed, re.MULTILINE)
