"""What the laptop deployment rests on; that it works as a whole is what the demo shows."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from pydantic import SecretStr

from pipelines.errors import ConfigError, MillraceError
from pipelines.lab.local import (
    POOLS,
    LocalStack,
    Ports,
    _process,
    _wait_for_port,
    airflow_environment,
    dynamodb_environment,
    emulator_environment,
    wait_until,
)
from pipelines.orchestration.defaults import Pool
from pipelines.settings import Settings


def test_free_ports_are_free_and_different() -> None:
    ports = Ports.free()
    numbers = [ports.airflow, ports.mlflow, ports.salesforce, ports.dynamodb]
    assert len(set(numbers)) == 4
    for number in numbers:
        with socket.socket() as each:
            each.bind(("127.0.0.1", number))


def test_every_pool_that_a_dag_names_is_made() -> None:
    assert set(POOLS) == {pool.value for pool in Pool}


def test_airflow_keeps_its_files_below_var_and_a_variable_that_is_set_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AIRFLOW__API__WORKERS", "3")
    monkeypatch.setenv("MILLRACE_VAR", str(tmp_path))
    found = airflow_environment(Settings(var=tmp_path), Ports(airflow=18080))
    assert found["AIRFLOW_HOME"] == str(tmp_path / "airflow")
    assert str(tmp_path) in found["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    assert found["AIRFLOW_CONFIG"] == str(Settings.load().home / "airflow.cfg")
    assert found["AIRFLOW__API__PORT"] == "18080"
    assert found["AIRFLOW__API__WORKERS"] == "3"
    assert found["PATH"].split(":")[0] == str(Path(sys.executable).parent)


def test_secrets_of_this_machine_are_random_private_and_kept(tmp_path: Path) -> None:
    settings = Settings(var=tmp_path / "one")
    names = ("AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__API__SECRET_KEY")
    first, again = airflow_environment(settings), airflow_environment(settings)
    other = airflow_environment(Settings(var=tmp_path / "two"))
    for name in names:
        assert len(first[name]) >= 32
        assert first[name] == again[name]
        assert first[name] != other[name]
    assert first[names[0]] != first[names[1]]
    for path in (tmp_path / "one" / "secrets").iterdir():
        assert path.stat().st_mode & 0o077 == 0, path


def test_the_emulator_gets_a_login_that_only_this_machine_knows(tmp_path: Path) -> None:
    settings = Settings(var=tmp_path)
    found = emulator_environment(settings, Ports(salesforce=18443))
    assert found["MILLRACE_SALESFORCE__INSTANCE"] == "127.0.0.1:18443"
    assert len(found["MILLRACE_SALESFORCE__PASSWORD"]) >= 32
    assert found["MILLRACE_SALESFORCE__PASSWORD"] != found["MILLRACE_SALESFORCE__SECURITY_TOKEN"]


def test_settings_print_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = emulator_environment(Settings(var=tmp_path), Ports())
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    settings = Settings(var=tmp_path, pseudonym_key=SecretStr("nobody must see this"))
    shown = repr(settings) + str(settings) + settings.model_dump_json()
    assert settings.salesforce is not None
    assert "nobody must see this" not in shown
    assert found["MILLRACE_SALESFORCE__PASSWORD"] not in shown
    assert found["MILLRACE_SALESFORCE__SECURITY_TOKEN"] not in shown


def test_a_process_ends_with_everything_it_started(tmp_path: Path) -> None:
    """A worker that outlived its parent would hold ports and memory of the machine."""
    code = (
        "import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    log = tmp_path / "logs" / "process.log"
    with _process([sys.executable, "-c", code], os.environ, tmp_path, log) as process:
        wait_until(lambda: log.read_text().strip(), "the child to start", 30)
        child = psutil.Process(int(log.read_text()))
        assert process.poll() is None
    assert process.poll() is not None
    gone, _ = psutil.wait_procs([child], timeout=10)
    assert gone


def test_a_port_that_answers_is_waited_for(tmp_path: Path) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        log = tmp_path / "service.log"
        with pytest.raises(
            ConfigError, match=rf"in vain for a service to listen on port {port}; see .*service.log"
        ):
            _wait_for_port(port, "a service", log, seconds=0)
        listening.listen()
        _wait_for_port(port, "a service", log, seconds=30)


def test_an_airflow_command_that_fails_names_its_log(tmp_path: Path) -> None:
    stack = LocalStack(Settings(var=tmp_path), Ports())
    with pytest.raises(MillraceError, match=r"airflow no-such-command failed; see .*logs/wrong.log"):
        stack._run("wrong", ["no-such-command"])
    assert "no-such-command" in (tmp_path / "logs" / "wrong.log").read_text()


def test_the_emulator_starts_as_a_process_and_takes_accounts(tmp_path: Path) -> None:
    with LocalStack(Settings(var=tmp_path), Ports.free()) as stack:
        stack.start_emulator()
        stack.seed_accounts({"AC-1": "One", "AC-2": "Two"})
        held = stack.salesforce_records("Account")
        assert {record["Millrace_Account_Id__c"] for record in held} == {"AC-1", "AC-2"}
        port = stack.ports.salesforce
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0, "it ended with the stack"


def test_the_twin_of_dynamodb_is_signed_to_with_credentials_of_its_own_unless_there_are_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    settings, ports = Settings(var=tmp_path), Ports(dynamodb=18000)
    found = dynamodb_environment(settings, ports)
    assert found["MILLRACE_DYNAMODB__ENDPOINT_URL"] == "http://127.0.0.1:18000"
    assert found["AWS_ACCESS_KEY_ID"] == "local"
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    assert Settings.load().dynamodb is not None, "every name is a setting"
    assert "AWS_ACCESS_KEY_ID" not in dynamodb_environment(settings, ports)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    on_s3 = Settings(var=tmp_path, lake="s3://bucket/lake")
    assert "AWS_ACCESS_KEY_ID" not in dynamodb_environment(on_s3, ports), "its role must be found"


def test_the_twin_of_dynamodb_starts_and_ends_with_the_stack(tmp_path: Path) -> None:
    with LocalStack(Settings(var=tmp_path), Ports.free()) as stack:
        stack.start_dynamodb()
        port = stack.ports.dynamodb
        assert stack.environment["MILLRACE_DYNAMODB__ENDPOINT_URL"].endswith(f":{port}")
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0, "it ended with the stack"


def test_millrace_airflow_runs_in_this_environment(tmp_path: Path) -> None:
    home = tmp_path / "airflow"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", "airflow", "config", "get-value", "core", "dags_folder"],
        env={**environment, "MILLRACE_VAR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.strip().splitlines()[-1] == str(Settings.load().home / "dags")
    assert home.is_dir()
