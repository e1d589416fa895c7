"""The files of deploy/: they parse, agree with the repository, and leave every secret to the environment."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml
from dagster._config import Field, process_config
from dagster._core.instance.config import dagster_instance_config
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.config import pg_config
from dagster_webserver.cli import DEFAULT_WEBSERVER_HOST

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose.yaml"
DOCKERFILE = DEPLOY / "docker" / "Dockerfile"
IMAGE = "agri-assets"
POSTGRES = {"HOST": "db", "PORT": "5432", "USERNAME": "dagster", "DB": "runs", "PASSWORD": "of a test"}
SECRET = re.compile(r"password|secret|token|access_?key", re.IGNORECASE)
SETTINGS = ["concurrency", "run_monitoring", "python_logs", "telemetry", "nux"]


def read(path: Path) -> dict:
    return yaml.safe_load(path.read_text())


def instructions(name: str) -> list[str]:
    """The arguments of every instruction of one name in the Dockerfile, continued lines joined."""
    lines = re.sub(r"\\\n", " ", DOCKERFILE.read_text()).splitlines()
    return [line.split(maxsplit=1)[1] for line in lines if line.startswith(f"{name} ")]


def leaves(value: object, path: tuple[str, ...] = ()):
    """Every scalar below a value, with the keys that lead to it."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield from leaves(below, (*path, str(key)))
    elif isinstance(value, list):
        for below in value:
            yield from leaves(below, path)
    else:
        yield path, value


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*.yaml")), ids=lambda path: str(path.relative_to(DEPLOY)))
def test_every_file_parses(path):
    assert all(yaml.safe_load_all(path.read_text()))


def test_the_docs_name_files_and_variables_that_exist():
    text = (ROOT / "docs" / "operations.md").read_text().split("## Several machines")[1]
    named = set(re.findall(r"deploy/[\w./-]*\w", text)) - {"deploy/.env"}
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
    read_by_files = COMPOSE.read_text() + (DEPLOY / "dagster.yaml").read_text()
    variables = set(re.findall(r"(?:DAGSTER_PG|COMPOSE)_[A-Z]+|AGRI_(?:INPUT|DASK|DATA_ROOT)", text))
    assert [name for name in sorted(variables) if name not in read_by_files] == []


# --- compose


def test_compose_refuses_an_unset_secret():
    text = COMPOSE.read_text()
    secrets = re.findall(r"\$\{(\w*(?:PASSWORD|SECRET|TOKEN|KEY)\w*)([^}]*)\}", text)
    assert secrets
    assert all(rest.startswith(":?") and len(rest) > len(":?") for _, rest in secrets), secrets
    written = {(path, value) for path, value in leaves(read(COMPOSE)) if SECRET.search(path[-1])}
    assert all(str(value).startswith("${") for _, value in written), written


def test_compose_publishes_on_localhost_only():
    services = read(COMPOSE)["services"]
    published = [port for service in services.values() for port in service.get("ports", ())]
    assert published == ["127.0.0.1:3000:3000"]
    assert not any("network_mode" in service for service in services.values())


def test_the_web_ui_of_one_machine_listens_on_it_alone():
    (started,) = re.findall(r"dagster dev.*", (DEPLOY.parent / "Makefile").read_text())
    assert not re.search(r"\s(-h|--host)\b", started)
    assert DEFAULT_WEBSERVER_HOST == "127.0.0.1"


def test_all_services_but_postgres_use_the_one_image_without_rights():
    services = read(COMPOSE)["services"]
    assert services.pop("postgres")["image"].startswith("postgres:")
    assert {service["image"] for service in services.values()} == {f"${{AGRI_IMAGE:-{IMAGE}}}"}
    for service in services.values():
        assert service["cap_drop"] == ["ALL"]
        assert "user" not in service
        assert not service.get("privileged")


def test_what_is_waited_for_has_a_health_check():
    services = read(COMPOSE)["services"]
    for service in services.values():
        needed = service.get("depends_on", {})
        conditions = needed.items() if isinstance(needed, dict) else ()
        for name, how in conditions:
            assert how["condition"] == "service_healthy"
            assert "healthcheck" in services[name]
    assert all("healthcheck" in services[name] for name in ("postgres", "code", "code-gpu", "webserver", "daemon"))


def test_code_is_served_on_a_device_or_without_and_reached_by_one_name():
    services = read(COMPOSE)["services"]
    server = read(DEPLOY / "workspace.yaml")["load_from"][0]["grpc_server"]
    assert services["code"]["profiles"] == ["cpu"]
    assert services["code-gpu"]["profiles"] == ["gpu"]
    assert services["code-gpu"]["deploy"]["resources"]["reservations"]["devices"][0]["driver"] == "nvidia"
    for name in ("code", "code-gpu"):
        assert server["host"] in services[name]["networks"]["default"]["aliases"]
        assert "command" not in services[name]
        assert "data:/data" in services[name]["volumes"]
    assert f'"-p", "{server["port"]}"' in instructions("CMD")[0]
    own = read(ROOT / "workspace.yaml")["load_from"][0]["python_module"]
    assert server["location_name"] == own["location_name"]
    assert own["module_name"] in instructions("CMD")[0]


def test_compose_sets_what_the_instance_reads():
    wanted = set(re.findall(r"env: (\w+)", (DEPLOY / "dagster.yaml").read_text()))
    services = read(COMPOSE)["services"]
    for name in ("code", "code-gpu", "webserver", "daemon"):
        assert wanted <= set(services[name]["environment"])


# --- the instance


def test_the_instance_is_accepted_by_dagster_and_stored_in_postgres(monkeypatch):
    for name, value in POSTGRES.items():
        monkeypatch.setenv(f"DAGSTER_PG_{name}", value)
    settings, _ = dagster_instance_config(str(DEPLOY))
    assert list(settings["storage"]) == ["postgres"]
    found = process_config(Field(pg_config()).config_type, settings["storage"]["postgres"])
    assert found.success, found.errors
    assert found.value["postgres_db"]["hostname"] == "db"
    reference = InstanceRef.from_dir(str(DEPLOY))
    assert reference.event_storage_data.module_name == "dagster_postgres"


def test_the_instance_agrees_with_that_of_one_machine():
    shared, own = read(DEPLOY / "dagster.yaml"), read(ROOT / "dagster_home" / "dagster.yaml")
    assert {name: shared[name] for name in SETTINGS} == {name: own[name] for name in SETTINGS}
    assert set(shared) - {"storage"} == set(own)


# --- the image


def test_the_image_runs_as_nobody_special_and_takes_the_lock_by_its_hashes():
    user = instructions("USER")[-1]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), "by number, or Kubernetes cannot tell that it is not root"
    first = next(run for run in instructions("RUN") if "requirements.lock" in run)
    assert "--require-hashes --constraint requirements.lock" in first
    assert any("--no-deps ." in run for run in instructions("RUN"))
    assert not re.search(r"https?://|index-url", DOCKERFILE.read_text())


def test_everything_that_is_copied_exists_and_reaches_the_build():
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [path for line in instructions("COPY") for path in shlex.split(line)[:-1]]
    assert sorted(copied) == sorted(kept)
    assert [path for path in copied if not (ROOT / path).exists()] == []


def test_the_extras_that_the_image_names_exist_and_fit_the_lock():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(re.findall(r"--extra (\w+)", DOCKERFILE.read_text())) == {"platform", "train", "predict", "deploy"}
    assert {"platform", "train", "predict", "deploy"} <= set(extras)
    minor, patch = re.search(r"^dagster==1\.(\d+)\.(\d+)", (ROOT / "requirements.lock").read_text(), re.M).groups()
    # Dagster's libraries are numbered 0.(minor + 16) and pin the Dagster of their own patch
    library = int(minor) + 16
    for requirement in extras["deploy"]:
        name, least, below = re.fullmatch(rf"(\S+?)>=0\.{library}\.(\d+),<0\.(\d+)", requirement).groups()
        assert name in {"dagster-k8s", "dagster-postgres"}
        assert int(least) <= int(patch)
        assert int(below) == library + 1


# --- Kubernetes


def test_helm_values_hold_no_secret():
    values = read(DEPLOY / "helm" / "values.yaml")
    names_of_secrets = {("global", "postgresqlSecretName"), ("generatePostgresqlPasswordSecret",)}
    written = {path: value for path, value in leaves(values) if SECRET.search(path[-1])}
    assert {path for path, value in written.items() if value} - names_of_secrets == set()
    assert values["generatePostgresqlPasswordSecret"] is False
    environment = values["dagster-user-deployments"]["deployments"][0]["env"]
    assert not [entry for entry in environment if SECRET.search(entry["name"])]


def test_helm_values_open_no_way_in_and_use_the_one_image():
    values = read(DEPLOY / "helm" / "values.yaml")
    (code,), webserver = values["dagster-user-deployments"]["deployments"], values["dagsterWebserver"]
    assert values["ingress"] == {"enabled": False}
    assert webserver["service"]["type"] == "ClusterIP"
    assert webserver["service"]["port"] == webserver["readinessProbe"]["httpGet"]["port"] > 1023
    assert webserver["image"] == values["dagsterDaemon"]["image"] == code["image"]
    assert code["dagsterApiGrpcArgs"] == ["-m", "agri_assets.definitions"]
    assert "resources" not in code
    uid = int(instructions("USER")[-1].split(":")[0])
    pods = [webserver, values["dagsterDaemon"], code, launcher(values)]
    assert all(pod["securityContext"]["runAsUser"] == uid for pod in pods)


def test_helm_values_agree_with_the_instance_of_one_machine():
    values, own = read(DEPLOY / "helm" / "values.yaml"), read(ROOT / "dagster_home" / "dagster.yaml")
    pools = own["concurrency"]["pools"]
    assert values["concurrency"]["pools"] == {
        "granularity": pools["granularity"],
        "defaultLimit": pools["default_limit"],
    }
    assert values["dagsterDaemon"]["runMonitoring"] == {
        "enabled": own["run_monitoring"]["enabled"],
        "freeSlotsAfterRunEndSeconds": own["run_monitoring"]["free_slots_after_run_end_seconds"],
    }
    storage = read(DEPLOY / "dagster.yaml")["storage"]["postgres"]["postgres_db"]
    assert values["postgresql"]["postgresqlScheme"] == storage["scheme"]
    assert values["pythonLogs"]["managedPythonLoggers"] == own["python_logs"]["managed_python_loggers"]
    assert values["additionalInstanceConfig"]["nux"] == own["nux"]


def test_runs_have_room_and_the_tag_adds_a_gpu():
    run = launcher(read(DEPLOY / "helm" / "values.yaml"))
    assert run["resources"]["requests"]
    assert run["volumeMounts"] == [{"name": "shm", "mountPath": "/dev/shm"}]
    ((key, tag),) = read(DEPLOY / "helm" / "gpu-tag.yaml").items()
    assert key == "dagster-k8s/config"
    assert tag["container_config"]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert {entry["key"] for entry in tag["pod_spec_config"]["tolerations"]} == {"nvidia.com/gpu"}
    assert tag["pod_spec_config"]["node_selector"]


def test_the_tag_is_laid_over_what_runs_have():
    context = pytest.importorskip("dagster_k8s.container_context", reason="the extra `deploy` is not installed")
    run = launcher(read(DEPLOY / "helm" / "values.yaml"))
    tag = read(DEPLOY / "helm" / "gpu-tag.yaml")["dagster-k8s/config"]
    given = {"resources": run["resources"], "volumes": run["volumes"], "volume_mounts": run["volumeMounts"]}
    pod = context.K8sContainerContext.create_from_config({"k8s": given})
    merged = pod.merge(context.K8sContainerContext.create_from_config({"k8s": {"run_k8s_config": tag}})).run_k8s_config
    assert merged.container_config["resources"]["limits"] == tag["container_config"]["resources"]["limits"]
    assert merged.container_config["volume_mounts"][0]["mount_path"] == "/dev/shm"
    assert merged.pod_spec_config["tolerations"] == tag["pod_spec_config"]["tolerations"]


def test_dask_runs_in_the_image_of_the_steps():
    values = read(DEPLOY / "helm" / "values.yaml")
    image = values["dagsterWebserver"]["image"]
    manifests = list(yaml.safe_load_all((DEPLOY / "dask" / "kubernetes.yaml").read_text()))
    pods = [entry["spec"]["template"]["spec"] for entry in manifests if entry["kind"] == "Deployment"]
    containers = [container for pod in pods for container in pod["containers"]]
    assert {container["image"] for container in containers} == {f"{image['repository']}:{image['tag']}"}
    assert {container["args"][1] for container in containers} == {"scheduler", "worker"}
    worker = next(container for container in containers if container["args"][1] == "worker")
    assert {(entry["name"], entry["value"]) for entry in worker["env"]} <= {
        (entry["name"], entry["value"]) for entry in values["dagster-user-deployments"]["deployments"][0]["env"]
    }


def launcher(values: dict) -> dict:
    assert values["runLauncher"]["type"] == "K8sRunLauncher"
    return values["runLauncher"]["config"]["k8sRunLauncher"]
