"""The laptop deployment: Airflow, MLflow and twins of Salesforce and DynamoDB as processes on loopback.

``millrace up`` keeps them running for clicking around; ``millrace demo`` runs the DAGs through the
same processes. Nothing here is needed where Airflow, Salesforce and DynamoDB already exist.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import requests

from pipelines.errors import ConfigError, MillraceError
from pipelines.lab.airflow_api import AirflowApi
from pipelines.settings import DynamoSettings, Settings

#: Credentials of the emulator on this machine; a real org's come from the environment.
EMULATOR_USER = "integration@millrace.example"

#: Slots of the pools that the DAGs name.
POOLS = {
    "dbt": (1, "dbt runs: one at a time keeps memory bounded"),
    "salesforce": (1, "Salesforce: one load at a time avoids row locks"),
    "dynamodb": (1, "DynamoDB: one load at a time keeps within the write capacity"),
}


@dataclass(frozen=True)
class Ports:
    """Loopback ports of the local services."""

    airflow: int = 8080
    mlflow: int = 5000
    salesforce: int = 8443
    dynamodb: int = 8000

    @classmethod
    def free(cls) -> Self:
        """Choose ports that nothing listens on."""
        with ExitStack() as stack:
            sockets = [stack.enter_context(socket.socket()) for _ in fields(cls)]
            for each in sockets:
                each.bind(("127.0.0.1", 0))
            return cls(*(each.getsockname()[1] for each in sockets))


def airflow_environment(settings: Settings, ports: Ports | None = None) -> dict[str, str]:
    """Environment in which ``airflow`` finds this project, its own files and its secrets.

    Everything Airflow writes goes below ``<var>/airflow``; a variable that is already set wins.
    """
    ports = ports or Ports()
    home = settings.var / "airflow"
    home.mkdir(parents=True, exist_ok=True)
    own = {
        "MILLRACE_HOME": str(settings.home),
        "MILLRACE_VAR": str(settings.var),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_CONFIG": str(settings.home / "airflow.cfg"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__API_AUTH__JWT_SECRET": settings.local_secret("airflow.jwt"),
        "AIRFLOW__API__SECRET_KEY": settings.local_secret("airflow.session"),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(ports.airflow),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{ports.airflow}",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{ports.airflow}/execution/",
        # No login: the server listens on loopback only.
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "MILLRACE_SCHEDULES": "off",
        "OMP_WAIT_POLICY": "PASSIVE",  # threads that wait must not spin on a busy machine
        "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}",
    }
    return {**own, **os.environ, "PATH": own["PATH"]}


def emulator_environment(settings: Settings, ports: Ports) -> dict[str, str]:
    """``MILLRACE_SALESFORCE__*`` for the local emulator."""
    return {
        "MILLRACE_SALESFORCE__USERNAME": EMULATOR_USER,
        "MILLRACE_SALESFORCE__PASSWORD": settings.local_secret("emulator.password"),
        "MILLRACE_SALESFORCE__SECURITY_TOKEN": settings.local_secret("emulator.token"),
        "MILLRACE_SALESFORCE__INSTANCE": f"127.0.0.1:{ports.salesforce}",
        "MILLRACE_SALESFORCE__CA_BUNDLE": str(settings.var / "emulator" / "ca.pem"),
    }


def dynamodb_environment(settings: Settings, ports: Ports) -> dict[str, str]:
    """``MILLRACE_DYNAMODB__*`` for the local twin, and credentials that boto3 signs with and nobody checks.

    Credentials of one's own stay where they are set, or where the lake needs them.
    """
    twin = {
        "MILLRACE_DYNAMODB__TABLE": "millrace",
        "MILLRACE_DYNAMODB__REGION": "eu-west-3",
        "MILLRACE_DYNAMODB__ENDPOINT_URL": f"http://127.0.0.1:{ports.dynamodb}",
        "MILLRACE_DYNAMODB__CREATE_TABLE": "true",
    }
    own = any(name in os.environ for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE"))
    if not own and "://" not in settings.lake:
        twin |= {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    return twin


class LocalStack:
    """Processes of the laptop deployment; use as a context manager.

    Parameters
    ----------
    settings
        Where everything is kept.
    ports
        Ports to listen on.
    """

    def __init__(self, settings: Settings, ports: Ports) -> None:
        self.settings = settings
        self.ports = ports
        self.environment = airflow_environment(settings, ports)
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._exit.close()

    def start_emulator(self) -> None:
        """Start the Salesforce emulator and point the environment at it."""
        self.environment |= emulator_environment(self.settings, self.ports)
        folder = self.settings.var / "emulator"
        command = ["-m", "pipelines.lab.emulator", "--port", str(self.ports.salesforce)]
        self._start("salesforce-emulator", [sys.executable, *command, "--state", str(folder)])
        _wait_for_port(self.ports.salesforce, "the Salesforce emulator", self._log("salesforce-emulator"))

    def start_dynamodb(self) -> None:
        """Start the twin of DynamoDB and point the environment at it; it forgets everything when it ends."""
        self.environment |= dynamodb_environment(self.settings, self.ports)
        command = ["-m", "moto.server", "--host", "127.0.0.1", "--port", str(self.ports.dynamodb)]
        self._start("dynamodb", [sys.executable, *command])
        _wait_for_port(self.ports.dynamodb, "the twin of DynamoDB", self._log("dynamodb"))

    @contextmanager
    def reaching_dynamodb(self) -> Iterator[Settings]:
        """Give settings by which this process, too, reaches the twin."""
        prefix, own = "MILLRACE_DYNAMODB__", self.environment
        values = {
            name.removeprefix(prefix).lower(): text for name, text in own.items() if name.startswith(prefix)
        }
        keys = {name: own[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if name in own}
        before = {name: os.environ.get(name) for name in keys}
        os.environ.update(keys)
        try:
            yield self.settings.model_copy(update={"dynamodb": DynamoSettings.model_validate(values)})
        finally:
            for name, text in before.items():
                if text is None:
                    del os.environ[name]
                else:
                    os.environ[name] = text

    def millrace(self, *arguments: str) -> Any:
        """Run a command of ours as a person would who uses this deployment; decodes its JSON.

        Raises
        ------
        MillraceError
            It failed.
        """
        command = [sys.executable, "-m", "pipelines.cli", *arguments, "--json"]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            raise MillraceError(f"millrace {' '.join(arguments)} failed: {done.stderr.strip()[-2000:]}")
        return json.loads(done.stdout.strip().splitlines()[-1])

    def seed_accounts(self, names: Mapping[str, str]) -> None:
        """Give the emulated org accounts: name by natural id."""
        records = [{"Millrace_Account_Id__c": key, "Name": name} for key, name in names.items()]
        path = "records/Account?key=Millrace_Account_Id__c"
        self._emulator("POST", path, json=records).raise_for_status()

    def salesforce_records(self, sobject: str) -> list[dict[str, Any]]:
        """All records of an object in the emulated org."""
        answer = self._emulator("GET", f"records/{sobject}")
        answer.raise_for_status()
        return list(answer.json())

    def _emulator(self, method: str, path: str, **arguments: Any) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False  # loopback never goes through a proxy
            session.verify = self.environment["MILLRACE_SALESFORCE__CA_BUNDLE"]
            url = f"https://127.0.0.1:{self.ports.salesforce}/_emulator/{path}"
            return session.request(method, url, timeout=120, **arguments)

    def start_mlflow(self) -> None:
        """Start MLflow's pages."""
        uri, port = self.settings.tracking_uri, str(self.ports.mlflow)
        command = ["-m", "mlflow", "server", "--backend-store-uri", uri, "--host", "127.0.0.1"]
        artifacts = ["--default-artifact-root", self.settings.artifact_root, "--workers", "1"]
        self._start("mlflow", [sys.executable, *command, *artifacts, "--port", port])

    def migrate_airflow(self) -> None:
        """Make or update Airflow's database."""
        self._run("db-migrate", ["db", "migrate"])

    def start_airflow(self) -> None:
        """Start scheduler, DAG processor and API server, and make the pools."""
        for component in ("api-server", "scheduler", "dag-processor"):
            self._start(component, ["airflow", component])
        _wait_for_port(self.ports.airflow, "Airflow's API server", self._log("api-server"))
        self.airflow = AirflowApi(f"http://127.0.0.1:{self.ports.airflow}")
        for pool, (slots, why) in POOLS.items():
            self.airflow.set_pool(pool, slots, why)

    def _log(self, name: str) -> Path:
        return self.settings.var / "logs" / f"{name}.log"

    def _run(self, name: str, arguments: Sequence[str]) -> None:
        self._log(name).parent.mkdir(parents=True, exist_ok=True)
        with self._log(name).open("wb") as log:
            done = subprocess.run(  # noqa: S603
                ["airflow", *arguments],  # noqa: S607 - found on the PATH set above
                env=self.environment,
                cwd=self.settings.home,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            raise MillraceError(f"airflow {' '.join(arguments)} failed; see {self._log(name)}")

    def _start(self, name: str, command: Sequence[str]) -> None:
        self._exit.enter_context(_process(command, self.environment, self.settings.home, self._log(name)))


@contextmanager
def _process(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, log_path: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process in a group of its own; on exit end the whole group."""
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603
            command,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=20)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # workers that outlived their parent
            process.wait()


def _wait_for_port(port: int, what: str, log: Path, seconds: float = 120) -> None:
    def answers() -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", port)) == 0

    wait_until(answers, f"{what} to listen on port {port}; see {log}", seconds)


def wait_until(reached: Callable[[], Any], what: str, seconds: float) -> None:
    """Poll until something is true.

    Raises
    ------
    ConfigError
        It did not become true in time.
    """
    end = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > end:
            raise ConfigError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.3)
