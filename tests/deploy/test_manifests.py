"""The Kubernetes manifests: valid by the bundled schemas, as kustomize joins them, and one with the specification."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from batch.jobs import OPTIONS
from batch.schedule import kubernetes
from batch.schedule.commands import installed
from batch.spec import Spec, load_spec
from compute.clusters.options import LocalCluster
from cube.options import Strict

FOLDER = Path(__file__).resolve().parents[2] / "deploy/kubernetes"
IMAGE = "climate-impact-cube"
VERSION = kubernetes_validate.latest_version()


def documents(name: str) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8")) if each]


def kustomization() -> dict[str, Any]:
    (value,) = documents("kustomization.yaml")
    return value


def patched(value: dict[str, Any], patch: list[dict[str, Any]]) -> dict[str, Any]:
    """A manifest after a JSON patch (RFC 6902) of additions and replacements."""
    value = copy.deepcopy(value)
    for step in patch:
        *parts, last = step["path"].strip("/").split("/")
        place: Any = value
        for part in parts:
            place = place[int(part)] if isinstance(place, list) else place[part]
        if isinstance(place, list):
            assert (step["op"], last) == ("add", "-")
            place.append(step["value"])
        else:
            assert step["op"] == "add" or last in place, step["path"]
            place[last] = step["value"]
    return value


def applied() -> list[dict[str, Any]]:
    """What `kubectl apply -k` sends, written without kustomize."""
    kust = kustomization()
    found = [each for name in kust["resources"] for each in documents(name)]
    for each in kust["patches"]:
        (patch,) = documents(each["path"])
        target = each["target"]
        found = [
            patched(one, patch)
            if one["kind"] == target["kind"] and re.fullmatch(target.get("name", ".*"), one["metadata"]["name"])
            else one
            for one in found
        ]
    for generator in kust["configMapGenerator"]:
        data = {name: (FOLDER / name).read_text(encoding="utf-8") for name in generator["files"]}
        found.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": generator["name"]}, "data": data})
    return found


@pytest.fixture
def spec() -> Spec:
    jobs: dict[str, type[Strict]] = dict(OPTIONS)
    return load_spec(FOLDER / "cube.yaml", jobs)


def pod(name: str) -> dict[str, Any]:
    (job,) = (each for each in applied() if each["kind"] == "CronJob" and each["metadata"]["name"].endswith(name))
    found: dict[str, Any] = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return found


def gibibytes(text: str) -> int:
    match = re.fullmatch(r"(\d+)Gi", text)
    assert match
    return int(match[1]) * 2**30


@pytest.mark.parametrize(
    "manifest",
    [*applied(), *documents("secret.example.yaml")],
    ids=lambda each: f"{each['kind']} {each['metadata']['name']}",
)
def test_manifest_breaks_its_schema(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, VERSION, strict=True)


def test_unknown_key_passes_the_schema() -> None:
    wrong = patched(applied()[-2], [{"op": "add", "path": "/spec/schedul", "value": "* * * * *"}])
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSION, strict=True)


def test_cron_jobs_differ_from_what_the_command_prints(spec: Spec) -> None:
    printed = list(yaml.safe_load_all(kubernetes.manifests(installed(spec), IMAGE)))
    assert documents("cronjobs.yaml") == printed


def test_file_is_neither_applied_nor_explained() -> None:
    kust = kustomization()
    known = {*kust["resources"], *(each["path"] for each in kust["patches"]), "kustomization.yaml", "README.md"}
    known |= {"cube.yaml", "secret.example.yaml", "Containerfile", "Containerfile.dockerignore"}
    assert {path.name for path in FOLDER.iterdir()} == known


def test_build_lacks_memory_for_its_workers(spec: Spec) -> None:
    assert isinstance(spec.cluster, LocalCluster)
    assert spec.cluster.workers
    resources = pod("-build")["containers"][0]["resources"]
    assert gibibytes(resources["requests"]["memory"]) >= spec.cluster.workers * spec.memory + 2 * 2**30
    assert resources["requests"]["memory"] == resources["limits"]["memory"]
    assert int(resources["requests"]["cpu"]) == spec.cluster.workers


def test_mounted_volume_is_not_declared_or_not_claimed() -> None:
    claims = {each["metadata"]["name"] for each in applied() if each["kind"] == "PersistentVolumeClaim"}
    maps = {each["metadata"]["name"] for each in applied() if each["kind"] == "ConfigMap"}
    for name in ("-build", "-verify", "-gc", "-watch"):
        found = pod(name)
        volumes = {each["name"]: each for each in found["volumes"]}
        assert {each["name"] for each in found["containers"][0]["volumeMounts"]} == set(volumes)
        for volume in volumes.values():
            assert volume.get("persistentVolumeClaim", {}).get("claimName") in {None, *claims}
            assert volume.get("configMap", {}).get("name") in {None, *maps}


def test_paths_of_the_specification_are_not_mounted(spec: Spec) -> None:
    mounts = {each["mountPath"]: each for each in pod("-build")["containers"][0]["volumeMounts"]}
    assert mounts["/archive"]["readOnly"] is True
    assert spec.cluster.scratch in mounts
    files = [str(getattr(each.options, "files", "/archive")) for each in spec.products.values()]
    assert [each for each in files if not each.startswith("/archive")] == []


def test_volume_for_one_pod_is_mounted_by_several() -> None:
    single = {
        each["metadata"]["name"]
        for each in applied()
        if each["kind"] == "PersistentVolumeClaim" and each["spec"]["accessModes"] == ["ReadWriteOnce"]
    }
    used = [
        volume["persistentVolumeClaim"]["claimName"]
        for name in ("-build", "-verify", "-gc", "-watch")
        for volume in pod(name)["volumes"]
        if "persistentVolumeClaim" in volume
    ]
    assert [used.count(name) for name in single] == [1]


def test_pod_has_more_rights_than_the_namespace_allows() -> None:
    (namespace,) = documents("namespace.yaml")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert namespace["metadata"]["name"] == kustomization()["namespace"]
    for name in ("-build", "-verify", "-gc", "-watch"):
        found = pod(name)
        (container,) = found["containers"]
        assert found["securityContext"]["runAsNonRoot"] is True
        assert found["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert found["automountServiceAccountToken"] is False
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_policy_of_the_network_reaches_no_pod() -> None:
    (policy,) = documents("network.yaml")
    wanted = policy["spec"]["podSelector"]["matchLabels"]
    for job in (each for each in applied() if each["kind"] == "CronJob"):
        assert wanted.items() <= job["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"].items()


def test_secret_holds_a_value_or_is_applied() -> None:
    (secret,) = documents("secret.example.yaml")
    assert set(secret["stringData"].values()) == {""}
    assert secret["metadata"]["name"] == kubernetes.SECRET
    assert "secret.example.yaml" not in kustomization()["resources"]


def test_image_of_the_cron_jobs_is_not_replaced() -> None:
    named = {each["name"] for each in kustomization()["images"]}
    assert {pod(name)["containers"][0]["image"] for name in ("-build", "-watch")} == named


def test_image_lacks_a_package_or_runs_as_another_user() -> None:
    lines = (FOLDER / "Containerfile").read_text(encoding="utf-8").splitlines()
    copied = {line.split()[1] for line in lines if line.startswith("COPY ") and len(line.split()) == 3}
    packages = {path.parent.name for path in FOLDER.parents[1].glob("*/py.typed")}
    assert packages <= copied
    user = pod("-build")["securityContext"]
    assert f"USER {user['runAsUser']}:{user['runAsGroup']}" in lines
    kept = (FOLDER / "Containerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert {f"!{name}" for name in packages} <= set(kept)
