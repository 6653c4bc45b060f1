"""Promises of the deployment that can be checked without a Docker engine."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.lab.local import POOLS
from pipelines.settings import SalesforceSettings, Settings

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (DOCKER / "Dockerfile").read_text()
ENV_EXAMPLE = dict(
    line.split("=", 1)
    for line in (DOCKER / ".env.example").read_text().splitlines()
    if line and not line.startswith("#")
)

#: ``${NAME:-default}`` of the compose file.
VARIABLE = re.compile(r"\$\{([A-Z_]+)(?::-([^}]*))?\}")
each_service = pytest.mark.parametrize("name", sorted(SERVICES))


def rendered(text: str) -> str:
    """Text as Compose reads it when nothing is set in the environment."""
    return VARIABLE.sub(lambda match: match[2] or "", text)


def one_shot(service: dict[str, Any]) -> bool:
    return bool(service.get("restart") == "no")


def test_the_services_are_the_ones_we_ship() -> None:
    assert set(SERVICES) == {
        "postgres", "airflow-init", "airflow-api-server", "airflow-scheduler", "airflow-dag-processor",
        "airflow-triggerer", "mlflow", "salesforce-emulator", "dynamodb-local", "report",
    }  # fmt: skip
    assert [name for name in SERVICES if one_shot(SERVICES[name])] == ["airflow-init"]


@each_service
def test_images_are_pinned_to_a_version(name: str) -> None:
    tag = rendered(SERVICES[name]["image"]).partition(":")[2]
    assert re.search(r"\d+\.\d+", tag), f"{name}: {SERVICES[name]['image']} needs a version"
    assert "latest" not in tag


def test_the_base_image_is_pinned_and_the_same_everywhere() -> None:
    base = re.search(r"^ARG PYTHON_IMAGE=(\S+)$", DOCKERFILE, re.M)
    assert base is not None
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", base[1])
    stages = set(re.findall(r"^FROM \S+ AS (\S+)", DOCKERFILE, re.M))
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.M)) - stages == {"${PYTHON_IMAGE}"}
    built = SERVICES["airflow-init"]["build"]["args"]["PYTHON_IMAGE"]
    assert rendered(built) == ENV_EXAMPLE["PYTHON_IMAGE"] == base[1]


@each_service
def test_every_service_has_a_health_check_or_ends_by_itself(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    if one_shot(SERVICES[name]):
        assert check == {"disable": True}  # the image's own would call it unhealthy
    else:
        assert set(check) >= {"test", "interval", "timeout", "retries", "start_period"}
        assert check["test"][0] in ("CMD", "CMD-SHELL")


@each_service
def test_who_waits_for_whom_exists_and_can_become_ready(name: str) -> None:
    for other, wait in SERVICES[name].get("depends_on", {}).items():
        done = "service_completed_successfully" if one_shot(SERVICES[other]) else "service_healthy"
        assert wait["condition"] == done, f"{name} waits for {other}"
        optional = bool(SERVICES[other].get("profiles"))
        assert wait.get("required", True) is not optional, f"{other} is behind a profile"


@each_service
def test_no_process_can_become_root_or_change_its_image(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "cap_add" not in service
    ours = rendered(service["image"]).startswith("millrace")
    user = service.get("user") or ("50000:50000" if ours else "0")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), f"{name} runs as {user}"


def test_the_image_ends_as_the_fixed_user() -> None:
    stages = {
        stage.partition("\n")[0].split()[-1]: stage
        for stage in re.split(r"^FROM ", DOCKERFILE, flags=re.M)[1:]
    }
    assert re.findall(r"^USER (\S+)$", stages["runtime"], re.M) == ["50000:50000"]
    assert "useradd --uid 50000" in stages["runtime"]
    for image in ("product", "lab"):
        assert stages[image].startswith(f"runtime AS {image}\n")
        assert "USER" not in stages[image]


@each_service
def test_every_service_is_bounded(name: str) -> None:
    service = SERVICES[name]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert set(service["logging"]["options"]) == {"max-size", "max-file"}


@each_service
def test_ports_are_published_on_loopback_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", rendered(port)), f"{name} publishes {port}"


def test_the_database_is_on_an_internal_network_only() -> None:
    assert SERVICES["postgres"]["networks"] == ["data"]
    assert COMPOSE["networks"]["data"] == {"internal": True}
    assert "ports" not in SERVICES["postgres"]


@each_service
def test_no_secret_is_in_an_environment_or_a_command(name: str) -> None:
    service = SERVICES[name]
    for key, value in service.get("environment", {}).items():
        if re.search(r"PASSWORD|SECRET|TOKEN|KEY|SQL_ALCHEMY|STORE_URI", key) and not key.endswith("_DIR"):
            points_to_a_file = str(value).startswith(
                ("/run/secrets/", "cat /run/secrets/", "/var/lib/airflow/")
            )
            assert points_to_a_file, f"{name}: {key} must be read from a file"
    words = " ".join(map(str, [service.get("command", ""), *service.get("environment", {}).values()]))
    assert not re.search(r"://[^/\s:]+:[^@\s]+@", words), f"{name} has credentials in an address"


@each_service
def test_a_service_mounts_the_secrets_that_it_reads_and_no_others(name: str) -> None:
    service = SERVICES[name]
    words = str([service.get("command"), service.get("environment")])
    read = set(re.findall(r"/run/secrets/(\w+)", words))
    if name == "postgres":
        init = (DOCKER / "postgres" / "init.sh").read_text()
        read |= set(re.findall(r"\$SECRETS/(\w+)", init))
    mounted = set(service.get("secrets", []))
    if "MILLRACE_SECRETS_DIR" in service.get("environment", {}):
        fields = {f"millrace_{field}" for field in Settings.model_fields}
        fields |= {f"millrace_salesforce__{field}" for field in SalesforceSettings.model_fields}
        own = {secret for secret in mounted if secret.startswith("millrace_")}
        assert own
        assert own <= fields, "a file that is no setting is refused at the start"
        mounted -= own
    assert mounted == read


def test_only_the_tasks_get_the_pseudonym_key() -> None:
    holders = {name for name in SERVICES if "millrace_pseudonym_key" in SERVICES[name].get("secrets", [])}
    assert holders == {"airflow-scheduler"}


def test_every_secret_is_made_by_the_script() -> None:
    made = set(re.findall(r"\| put (\w+)$", (DOCKER / "make_secrets.sh").read_text(), re.M))
    assert made == set(COMPOSE["secrets"])
    for name, secret in COMPOSE["secrets"].items():
        assert rendered(secret["file"]) == f"./secrets/{name}"


def test_secrets_stay_out_of_git_and_of_the_image() -> None:
    assert "secrets/" in (DOCKER / ".gitignore").read_text().splitlines()
    allowed = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
    assert "*" in allowed  # everything is out that is not named
    assert not [line for line in allowed if line.startswith("!") and ("secret" in line or "env" in line)]


def test_the_pools_are_those_of_the_local_deployment() -> None:
    script = SERVICES["airflow-init"]["command"][-1]
    lines = [shlex.split(line) for line in script.splitlines()]
    pools = {line[3]: (int(line[4]), line[5]) for line in lines if line[:3] == ["airflow", "pools", "set"]}
    assert pools == POOLS


def test_uv_is_the_version_of_the_makefile() -> None:
    makefile = re.search(r"^UV_VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.M)
    image = re.search(r"^ARG UV_VERSION=(\S+)$", DOCKERFILE, re.M)
    assert makefile is not None
    assert image is not None
    assert makefile[1] == image[1]


def test_the_image_installs_what_is_locked_without_development_tools() -> None:
    syncs = re.findall(r"uv sync ([^\\\n]*)", DOCKERFILE)
    assert len(syncs) == 3
    for arguments in syncs:
        assert {"--locked", "--no-dev"} <= set(arguments.split())
    extras = [re.findall(r"--extra (\S+)", arguments) for arguments in syncs]
    assert extras == [["postgres"], ["postgres"], ["postgres", "lab"]]
    project = (ROOT / "pyproject.toml").read_text()
    assert all(f"\n{extra} = [" in project for extra in extras[-1])


def test_only_the_emulator_runs_an_image_with_the_laboratory_in_it() -> None:
    assert re.search(r"^RUN rm -r pipelines/lab$", DOCKERFILE, re.M)
    product = rendered(COMPOSE["x-millrace"]["image"])
    lab = {
        name
        for name, service in SERVICES.items()
        if rendered(service["image"]).startswith("millrace") and rendered(service["image"]) != product
    }
    assert lab == {"salesforce-emulator"}
    assert SERVICES["salesforce-emulator"]["build"]["target"] == "lab"
    assert SERVICES["airflow-init"]["build"]["target"] == "product"


def test_tasks_get_the_parameters_of_every_use_case() -> None:
    """Whatever use cases there are: nothing here lists them."""
    assert SERVICES["airflow-scheduler"]["env_file"] == [{"path": "params.env", "required": False}]
    assert "_PARAMS" not in str(SERVICES)
    assert "params.env" in (DOCKER / ".gitignore").read_text().splitlines()


def test_what_the_image_needs_is_in_the_build_context() -> None:
    context = [
        line[1:] for line in (DOCKER / "Dockerfile.dockerignore").read_text().splitlines() if line[0] == "!"
    ]
    assert all((ROOT / path).exists() for path in context)
    used = set(re.findall(r"/opt/millrace/(docker/[\w.]+)", DOCKERFILE + str(SERVICES)))
    config = set(re.findall(r"\$\{MILLRACE_HOME\}/(\S+)", (ROOT / "airflow.cfg").read_text()))
    assert used | config | {"airflow.cfg", "dbt_project", "pipelines"} <= set(context)


def test_every_variable_of_the_compose_file_is_explained() -> None:
    text = re.sub(r"#.*", "", (DOCKER / "compose.yaml").read_text())
    passed_on = {
        key for s in SERVICES.values() for key, value in s.get("environment", {}).items() if value is None
    }
    names = {match[1] for match in VARIABLE.finditer(text)}
    assert set(ENV_EXAMPLE) - {"COMPOSE_PROFILES"} <= names | passed_on
    assert names <= set(ENV_EXAMPLE)
    readme = (DOCKER / "README.md").read_text()
    assert not [name for name in passed_on - set(ENV_EXAMPLE) if name not in readme]


def test_folders_that_must_hold_no_module_hold_none() -> None:
    assert not list(DOCKER.rglob("__init__.py"))
    assert not list((DOCKER / "empty_plugins").rglob("*.py"))
