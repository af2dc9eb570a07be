"""The Kubernetes example holds together: with itself, with the image, and with the settings that there are."""

import re
from typing import Any

import httpx2
import pytest
import yaml

from app.lastresort import END_WITHIN_S, SAY_WITHIN_S
from app.settings import Settings, variable
from app.web.guards import MAX_CONTEXT_BYTES
from tests.test_repo import ROOT, instructions

FOLDER = ROOT / "deploy" / "kubernetes"
FILES: dict[str, dict[str, Any]] = {path.name: yaml.safe_load(path.read_text()) for path in FOLDER.glob("*.yaml")}
APPLIED = [FILES[name] for name in FILES["kustomization.yaml"]["resources"]]
MARGIN_S = END_WITHIN_S + SAY_WITHIN_S


def only(kind: str) -> dict[str, Any]:
    (found,) = [one for one in APPLIED if one["kind"] == kind]
    return found


POD: dict[str, Any] = only("Deployment")["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]


def test_everything_is_applied_but_the_secrets_example() -> None:
    assert FILES.keys() - set(FILES["kustomization.yaml"]["resources"]) == {"kustomization.yaml", "secret.example.yaml"}
    kinds = ["ConfigMap", "Deployment", "HorizontalPodAutoscaler", "Ingress", "PodDisruptionBudget", "Service"]
    assert sorted(one["kind"] for one in APPLIED) == kinds


def test_a_pod_is_given_the_time_that_it_takes_to_end() -> None:
    waited = int(CONTAINER["lifecycle"]["preStop"]["exec"]["command"][1])
    drain_s = float(only("ConfigMap")["data"]["HEADSTART_DRAIN_S"])
    assert POD["terminationGracePeriodSeconds"] >= waited + drain_s + MARGIN_S


def test_probes_ask_for_what_there_is(server: str) -> None:
    paths = {CONTAINER[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {httpx2.get(server + path).status_code for path in paths} == {200}
    # What depends on Redis must never restart a pod.
    assert CONTAINER["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert CONTAINER["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_what_is_set_are_settings_and_their_values_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = FILES["secret.example.yaml"]["stringData"]
    given: dict[str, str] = {**only("ConfigMap")["data"], **secret}
    assert set(given) <= {variable(name) for name in Settings.model_fields}
    assert all(isinstance(value, str) for value in given.values())
    assert {name for name in given if "KEY" in name or "URL" in name} == secret.keys()
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    no_file: dict[str, Any] = {"_env_file": None}
    settings = Settings(**no_file)
    assert settings.port == CONTAINER["ports"][0]["containerPort"]
    assert settings.redis_url is not None
    references = {kind: one["name"] for source in CONTAINER["envFrom"] for kind, one in source.items()}
    assert references == {
        "configMapRef": only("ConfigMap")["metadata"]["name"],
        "secretRef": FILES["secret.example.yaml"]["metadata"]["name"],
    }


def test_it_runs_as_the_images_user_and_writes_only_where_it_must() -> None:
    (made,) = [step for step in instructions("RUN") if "useradd" in step]
    assert POD["securityContext"]["runAsUser"] == int(re.findall(r"--uid (\d+)", made)[0])
    assert POD["securityContext"]["runAsNonRoot"] is True
    secured = CONTAINER["securityContext"]
    assert (secured["readOnlyRootFilesystem"], secured["allowPrivilegeEscalation"]) == (True, False)
    assert secured["capabilities"] == {"drop": ["ALL"]}
    assert {mount["mountPath"] for mount in CONTAINER["volumeMounts"]} == {"/tmp", *instructions("VOLUME")}
    assert {mount["name"] for mount in CONTAINER["volumeMounts"]} == {volume["name"] for volume in POD["volumes"]}


def test_everything_is_about_the_same_pods() -> None:
    labels = only("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert only("Deployment")["spec"]["selector"]["matchLabels"] == labels
    assert only("Service")["spec"]["selector"] == labels
    assert only("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels
    assert all(one["labelSelector"]["matchLabels"] == labels for one in POD["topologySpreadConstraints"])
    target = only("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", only("Deployment")["metadata"]["name"])
    assert only("Service")["spec"]["ports"][0]["targetPort"] == CONTAINER["ports"][0]["name"]
    backend = only("Ingress")["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert backend["name"] == only("Service")["metadata"]["name"]
    assert FILES["kustomization.yaml"]["images"][0]["name"] == CONTAINER["image"]


def test_there_are_never_fewer_servers_than_before_a_deploy() -> None:
    deployment, autoscaler = only("Deployment")["spec"], only("HorizontalPodAutoscaler")["spec"]
    assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert "replicas" not in deployment, "every apply would undo what the autoscaler did"
    assert autoscaler["minReplicas"] >= 3 > only("PodDisruptionBudget")["spec"]["maxUnavailable"] > 0
    assert "cpu" in CONTAINER["resources"]["requests"], "the autoscaler counts in shares of it"


def test_the_ingress_is_as_patient_and_as_silent_as_nginx_in_compose() -> None:
    said = {
        name.rpartition("/")[2].replace("-", "_"): value
        for name, value in only("Ingress")["metadata"]["annotations"].items()
    }
    assert int(said.pop("proxy_body_size").removesuffix("m")) * 2**20 > MAX_CONTEXT_BYTES
    written = (ROOT / "deploy" / "nginx.conf").read_text()
    assert (said.pop("enable_access_log"), "access_log off;" in written) == ("false", True)
    for name, value in said.items():
        seconds = "s" if name.endswith("_timeout") else ""
        assert f"{name} {value}{seconds};" in written, name
