"""No cluster has run the manifests: they are held to the API's schemas and to a policy of ours."""

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

K8S = Path(__file__).parents[3] / "deploy" / "k8s"
OURS = ("registry", "issuer", "verifier")
VERSION = "1.37"


def documents() -> dict[str, dict[str, Any]]:
    found = {}
    for path in sorted(K8S.rglob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            if document["kind"] != "Kustomization":
                found[f"{document['kind']} {document['metadata']['name']}"] = document
    return found


ALL = documents()
PODS = {name: one["spec"]["template"] for name, one in ALL.items() if one["kind"] in ("Deployment", "Job")}
CONTAINERS = {
    f"{name}: {container['name']}": container
    for name, pod in PODS.items()
    for container in (*pod["spec"]["containers"], *pod["spec"].get("initContainers", []))
}


@pytest.mark.parametrize("name", ALL)
def test_schema(name: str) -> None:
    kubernetes_validate.validate(ALL[name], VERSION, strict=True)


def test_a_wrong_manifest_is_refused() -> None:
    wrong = {**ALL["Deployment issuer"], "spec": {**ALL["Deployment issuer"]["spec"], "replicas": "two"}}
    with pytest.raises(kubernetes_validate.ValidationError, match="two"):
        kubernetes_validate.validate(wrong, VERSION, strict=True)


def test_kustomizations_name_every_file_and_nothing_else() -> None:
    named = set()
    for path in K8S.rglob("kustomization.yaml"):
        for resource in yaml.safe_load(path.read_text())["resources"]:
            target = (path.parent / resource).resolve()
            named.add(target / "kustomization.yaml" if target.is_dir() else target)
    there = {path.resolve() for path in K8S.rglob("*.yaml")} - {K8S.resolve() / "kustomization.yaml"}
    assert named == there


@pytest.mark.parametrize("name", PODS)
def test_pods_are_restricted(name: str) -> None:
    spec = PODS[name]["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    context = spec["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] == 10001
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    assert not [volume for volume in spec["volumes"] if "hostPath" in volume]


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers_are_hardened_bounded_and_pinned(name: str) -> None:
    container = CONTAINERS[name]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}
    assert container["resources"]["limits"]["memory"]
    assert re.search(r":\d+\.\d+\.\d+$", container["image"])
    assert all("SECRET" not in one["name"] for one in container.get("env", []))
    if name.startswith("Deployment"):
        for probe, path in (("startup", "live"), ("liveness", "live"), ("readiness", "ready")):
            asked = container[f"{probe}Probe"]["httpGet"]
            assert asked == {"path": f"/health/{path}", "port": "https", "scheme": "HTTPS"}


@pytest.mark.parametrize("service", OURS)
def test_each_service_has_what_keeps_it_up(service: str) -> None:
    deployment = ALL[f"Deployment {service}"]["spec"]
    assert deployment["replicas"] >= 2
    assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert {one["topologyKey"] for one in deployment["template"]["spec"]["topologySpreadConstraints"]} == {
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
    }
    labels = deployment["template"]["metadata"]["labels"]
    for kind in ("PodDisruptionBudget", "Service"):
        spec = ALL[f"{kind} {service}"]["spec"]
        selector = spec["selector"].get("matchLabels", spec["selector"])
        assert selector.items() <= labels.items()
    assert deployment["selector"]["matchLabels"].items() <= labels.items()
    assert ALL[f"PodDisruptionBudget {service}"]["spec"]["minAvailable"] >= 1
    assert ALL[f"HorizontalPodAutoscaler {service}"]["spec"]["minReplicas"] >= 2
    assert ALL[f"Service {service}"]["spec"]["sessionAffinity"] == "None"
    assert ALL[f"Ingress {service}"]["spec"]["tls"]
    # a job's pod must get no requests
    assert ALL[f"Job {service}-migrate"]["spec"]["template"]["metadata"]["labels"][
        "app.kubernetes.io/component"
    ] not in (labels["app.kubernetes.io/component"],)


def test_nothing_is_allowed_but_what_is_named() -> None:
    default = ALL["NetworkPolicy default-deny"]["spec"]
    assert default == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name, policy in ALL.items():
        if not name.startswith("NetworkPolicy") or name.endswith("default-deny"):
            continue
        for rule in (*policy["spec"].get("ingress", []), *policy["spec"].get("egress", [])):
            assert rule.get("from") or rule.get("to"), f"{name} names nobody"
            assert rule["ports"], f"{name} names no port"


def test_secrets_are_references_only() -> None:
    assert not [name for name in ALL if name.startswith("Secret ")]
    for name, document in ALL.items():
        if name.startswith("ConfigMap"):
            for variable, value in document["data"].items():
                assert not re.search(r"PASSWORD|KEK$|DATABASE_URL$", variable), name
                assert "-----BEGIN" not in value
    text = "".join(path.read_text() for path in K8S.rglob("*.yaml"))
    assert "simulators" not in text


@pytest.mark.parametrize("service", OURS)
def test_settings_are_ones_the_service_has(service: str) -> None:
    from deploy.dev.documents import SETTINGS
    from passport_shared.service.settings import mistyped

    assert mistyped(SETTINGS[service], ALL[f"ConfigMap {service}-settings"]["data"]) == []
