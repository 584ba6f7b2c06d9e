"""What a run's objects say, field by field; and that the files for administrators say the same."""

from __future__ import annotations

import base64
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from fake_cluster import restricted, unknown_fields
from vantage6.node.runtimes.base import Limits, Mount, RunSpec, StartFailed
from vantage6.node.runtimes.kubernetes import Settings, Volume, ground, manifests

DEPLOY = Path(__file__).parents[3] / "deploy" / "kubernetes"
LIMITS = Limits(memory=1024**3, wall_time=600, scratch_size=1024**2)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        claim="runs",
        volumes=[Volume(tmp_path / "data", "hospital-data", "2026")],
        image_pull_secrets=["registry"],
        node_selector={"disk": "fast"},
        start_time=60,
        keep_finished=3600,
        user=1234,
        group=5678,
        cpus=1.5,
    )


@pytest.fixture
def spec(tmp_path: Path) -> RunSpec:
    folder = tmp_path / "runs" / "7.2"
    folder.mkdir(parents=True)
    (folder / "token").write_text("the.run.token")
    (tmp_path / "data" / "cohort").mkdir(parents=True)
    (tmp_path / "data" / "cohort" / "patients.csv").write_text("a\n1\n")
    return RunSpec(
        run_id=7,
        job_id=3,
        image="example.org/average:1",
        folder=folder,
        mounts=[Mount(tmp_path / "data" / "cohort" / "patients.csv", "/mnt/default.csv")],
        environment={"DB_URI": "postgresql://ro:hunter2@db/wh", "token": "not the token"},
        limits=LIMITS,
    )


@pytest.fixture
def job(settings: Settings, spec: RunSpec) -> Any:
    return manifests.job(settings, "Utrecht node", spec, "cafe0123")


@pytest.fixture
def pod(job: Any) -> Any:
    return job["spec"]["template"]["spec"]


@pytest.fixture
def container(pod: Any) -> Any:
    (only,) = pod["containers"]
    return only


def test_the_api_knows_every_field(settings: Settings, spec: RunSpec, job: Any) -> None:
    owner = {"metadata": {"name": "j", "uid": "u"}}
    secret = manifests.secret("n", spec, "cafe0123", owner)
    assert unknown_fields(job, "Job") == []
    assert unknown_fields(secret, "Secret") == []
    for policy in manifests.network_policies(8080):
        assert unknown_fields(policy, "NetworkPolicy") == []
    assert unknown_fields({"spec": {"template": {"spec": {"volums": []}}}}, "Job")


def test_the_pod_is_one_that_the_restricted_standard_lets_in(pod: Any) -> None:
    assert restricted(pod) == []


def test_the_job_runs_once_and_ends_by_itself(job: Any) -> None:
    spec = job["spec"]
    assert spec["suspend"] is True
    assert (spec["backoffLimit"], spec["parallelism"], spec["completions"]) == (0, 1, 1)
    assert spec["podReplacementPolicy"] == "Failed"
    assert spec["activeDeadlineSeconds"] == 600 + 60
    assert spec["ttlSecondsAfterFinished"] == 3600
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] == 1


def test_the_pod_has_no_rights_and_sees_nothing_of_its_machine(pod: Any) -> None:
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    for key in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"):
        assert pod[key] is False
    assert pod["dnsPolicy"] == "None"
    assert pod["dnsConfig"] == {"nameservers": ["127.0.0.1"]}
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 1234,
        "runAsGroup": 5678,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    # A group for volumes would make the cluster change the owner of every file on them.
    assert "fsGroup" not in pod["securityContext"]
    assert "initContainers" not in pod
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert pod["nodeSelector"] == {"disk": "fast"}


def test_the_container_has_no_rights_either(container: Any) -> None:
    assert container["securityContext"] == {
        "privileged": False,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert "ports" not in container
    assert "command" not in container
    assert container["imagePullPolicy"] == "Always"


def test_what_it_may_use_is_bounded(container: Any) -> None:
    resources = container["resources"]
    assert resources["limits"] == {
        "cpu": "1500m",
        "memory": str(1024**3 + 1024**2),
        "ephemeral-storage": str(1024**3),
    }
    assert resources["requests"] == resources["limits"]


def test_scratch_is_in_memory_and_bounded(pod: Any, container: Any) -> None:
    scratch = {each["name"]: each["emptyDir"] for each in pod["volumes"] if "emptyDir" in each}
    assert all(each["medium"] == "Memory" for each in scratch.values())
    assert sum(int(each["sizeLimit"]) for each in scratch.values()) == 1024**2
    places = {each["mountPath"] for each in container["volumeMounts"] if each["name"] in scratch}
    assert places == {"/mnt/tmp", "/tmp", "/dev/shm"}


def test_without_scratch_there_is_next_to_none_rather_than_no_bound(
    settings: Settings, spec: RunSpec
) -> None:
    bare = RunSpec(7, 3, "i", spec.folder, limits=Limits(scratch_size=0))
    volumes = manifests.job(settings, "n", bare, "m")["spec"]["template"]["spec"]["volumes"]
    sizes = [each["emptyDir"]["sizeLimit"] for each in volumes if "emptyDir" in each]
    assert sizes == ["4096"] * 3


def test_of_the_shared_claim_a_run_sees_its_own_files_only(pod: Any, container: Any) -> None:
    mounts = {each["mountPath"]: each for each in container["volumeMounts"]}
    inner = "/mnt/data/task-000000007"
    assert mounts[f"{inner}/input"] == {
        "name": "run", "mountPath": f"{inner}/input", "subPath": "runs/7.2/input", "readOnly": True,
    }  # fmt: skip
    assert mounts[f"{inner}/output"]["subPath"] == "runs/7.2/output"
    assert mounts[f"{inner}/output"]["readOnly"] is False
    assert mounts[f"{inner}/token"]["readOnly"] is True
    writable = {each["mountPath"] for each in container["volumeMounts"] if not each.get("readOnly")}
    assert writable == {f"{inner}/output", "/mnt/tmp", "/tmp", "/dev/shm"}
    shared = [each for each in container["volumeMounts"] if each["name"] == "run"]
    assert all(each["subPath"].startswith("runs/7.2/") for each in shared)


def test_a_database_is_read_only_twice(pod: Any, container: Any) -> None:
    (volume,) = [each for each in pod["volumes"] if each["name"].startswith("data-")]
    assert volume["persistentVolumeClaim"] == {"claimName": "hospital-data", "readOnly": True}
    (mount,) = [each for each in container["volumeMounts"] if each["name"] == volume["name"]]
    assert mount == {
        "name": volume["name"],
        "mountPath": "/mnt/default.csv",
        "subPath": "2026/cohort/patients.csv",
        "readOnly": True,
        "recursiveReadOnly": "IfPossible",
    }


def test_a_database_that_no_claim_holds_is_refused(
    settings: Settings, spec: RunSpec, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere.csv"
    elsewhere.touch()
    for mounts in ([Mount(elsewhere, "/mnt/x.csv")], [Mount(elsewhere, "/mnt/tmp")]):
        astray = RunSpec(7, 3, "i", spec.folder, mounts=mounts)
        with pytest.raises(StartFailed, match=r"on no volume claim|cannot be shown at"):
            manifests.job(settings, "n", astray, "m")
    writable = RunSpec(7, 3, "i", spec.folder, [Mount(spec.mounts[0].source, "/mnt/a", True)])
    with pytest.raises(StartFailed, match="read-only"):
        manifests.job(settings, "n", writable, "m")


def test_no_secret_is_in_the_job(job: Any, spec: RunSpec) -> None:
    text = str(job)
    for secret in ("hunter2", "the.run.token", base64.b32encode(b"postgresql").decode()[:10]):
        assert secret not in text


def test_token_and_environment_are_in_a_secret_that_goes_with_the_job(
    spec: RunSpec, container: Any, pod: Any
) -> None:
    owner = {"metadata": {"name": "the-job", "uid": "the-uid"}}
    secret = manifests.secret("Utrecht node", spec, "cafe0123", owner)
    (reference,) = secret["metadata"]["ownerReferences"]
    assert (reference["kind"], reference["uid"]) == ("Job", "the-uid")
    assert secret["immutable"] is True
    content = secret["stringData"]
    assert content["token"] == "the.run.token"
    # Encoded as the contract says, and apart from the token even if it is called so.
    assert content["env.token"] == base64.b32encode(b"not the token").decode().replace("=", "!")
    sources = {each["name"]: each for each in container["env"] if "valueFrom" in each}
    for name in spec.environment:
        source = sources[name]["valueFrom"]["secretKeyRef"]
        assert source == {"name": secret["metadata"]["name"], "key": f"env.{name}"}
    (volume,) = [each["secret"] for each in pod["volumes"] if "secret" in each]
    assert volume["secretName"] == secret["metadata"]["name"]
    assert volume["items"] == [{"key": "token", "path": "token"}]


def test_what_a_secret_cannot_hold_is_refused(spec: RunSpec) -> None:
    owner = {"metadata": {"name": "j", "uid": "u"}}
    for variables, words in (
        ({"PKG_NAME": "x"}, "cannot be set"),
        ({"naïve": "x"}, "not ASCII"),
        ({"LARGE": "x" * 1024**2}, "too long"),
        ({f"LARGE_{number}": "x" * 60_000 for number in range(20)}, "too large"),
    ):
        other = RunSpec(7, 3, "i", spec.folder, environment=variables)
        with pytest.raises(StartFailed, match=words):
            manifests.secret("n", other, "m", owner)


def test_a_job_tells_what_is_needed_to_go_on_with_it(job: Any, spec: RunSpec) -> None:
    assert manifests.found(job) == manifests.Found(7, spec.folder, LIMITS)
    assert job["metadata"]["labels"] == {
        "vantage6-type": "algorithm", "node": "Utrecht-node", "run_id": "7",
    }  # fmt: skip


@pytest.mark.parametrize("node", ["utrecht", "Ü b", "x" * 200, "---", "a.b_c"])
def test_names_are_ones_that_a_cluster_takes(node: str) -> None:
    name = manifests.secret_name(node, 123456789, "cafe0123")
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name)
    assert "-run-123456789-" in name
    assert re.fullmatch(r"[A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?", manifests.label_of(node))


def policies(*changes: Any) -> list[Any]:
    return [*manifests.network_policies(8080), *changes]


LABELS = manifests.labels("n", 1)


def policy(name: str, spec: Any) -> Any:
    return {"metadata": {"name": name}, "spec": spec}


def test_the_policies_that_are_asked_for_are_enough() -> None:
    assert ground.network_flaws(policies(), LABELS, 8080) == []


def test_a_namespace_without_policies_is_open() -> None:
    (flaw,) = ground.network_flaws([], LABELS, 8080)
    assert "no network policy shuts algorithms in (Ingress and Egress)" in flaw
    assert "kubectl apply" in flaw


@pytest.mark.parametrize(
    ("selector", "matters"),
    [
        ({}, True),
        ({"matchLabels": {"vantage6-type": "algorithm"}}, True),
        ({"matchLabels": {"app": "database"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, True),
        ({"matchExpressions": [{"key": "run_id", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["db"]}]}, False),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["db"]}]}, True),
    ],
)
def test_one_more_policy_can_open_the_way_and_is_noticed(selector: Any, matters: bool) -> None:
    more = policy("leak", {"podSelector": selector, "policyTypes": ["Egress"], "egress": [{}]})
    flaws = ground.network_flaws(policies(more), LABELS, 8080)
    assert bool(flaws) is matters
    if matters:
        assert "network policy leak lets algorithms reach more" in flaws[0]


@pytest.mark.parametrize(
    "rule",
    [
        {"to": [{"podSelector": {}}], "ports": [{"protocol": "TCP", "port": 8080}]},
        {"to": [{"podSelector": {"matchLabels": manifests.OWN}}]},
        {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"protocol": "UDP", "port": 53}]},
        {"ports": [{"protocol": "TCP", "port": 8080}]},
    ],
)
def test_any_wider_rule_is_noticed(rule: Any) -> None:
    more = policy("wide", {"podSelector": {}, "egress": [rule]})
    assert "wide" in ground.network_flaws(policies(more), LABELS, 8080)[0]


def test_what_lets_others_reach_algorithms_is_noticed() -> None:
    more = policy("inwards", {"podSelector": {}, "ingress": [{}]})
    assert (
        "inwards lets something reach algorithms"
        in (ground.network_flaws(policies(more), LABELS, 8080)[0])
    )


def test_without_the_way_to_the_proxy_nothing_would_work() -> None:
    (flaw,) = ground.network_flaws(policies()[:1], LABELS, 8080)
    assert "lets algorithms reach the node's proxy" in flaw


def deployed(name: str) -> list[Any]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


def test_the_policies_in_the_files_are_those_that_the_node_looks_for() -> None:
    found = deployed("network-policies.yaml")
    for each in found:
        assert unknown_fields(each, "NetworkPolicy") == []
        assert each["metadata"].pop("namespace") == "vantage6"
    assert found[:2] == manifests.network_policies(8080)
    (own,) = found[2:]
    assert own["spec"]["podSelector"] == {"matchLabels": manifests.OWN}
    assert own["spec"]["ingress"] == [
        {
            "from": [{"podSelector": {"matchLabels": manifests.ALGORITHM}}],
            "ports": [{"protocol": "TCP", "port": 8080}],
        }
    ]
    assert ground.network_flaws(found, LABELS, 8080) == []


def test_the_rights_in_the_files_are_those_that_the_node_needs_and_no_more() -> None:
    (account, role, binding) = deployed("rights.yaml")
    assert role["kind"] == "Role"
    granted = {
        (group, resource, (rule.get("resourceNames") or [""])[0], tuple(sorted(rule["verbs"])))
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    assert granted == {
        (group, resource, name.format(namespace="vantage6", service="vantage6-node"), verbs)
        for group, resource, name, verbs in manifests.RIGHTS
    }
    assert binding["kind"] == "RoleBinding"
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert [each["name"] for each in binding["subjects"]] == [account["metadata"]["name"]]
    # What could read other runs' secrets, or make a pod that is not as a Job of ours.
    for group, resource, _, verbs in manifests.RIGHTS:
        assert "*" not in (group, resource, *verbs)
        assert resource != "secrets" or verbs == ("create",)
        assert resource != "pods" or "create" not in verbs
        assert resource not in ("pods/exec", "roles", "rolebindings")


def test_the_node_itself_is_one_that_the_restricted_standard_lets_in() -> None:
    (namespace,) = deployed("namespace.yaml")
    key, value = manifests.POD_SECURITY
    assert namespace["metadata"]["labels"][key] == value
    objects = {each["kind"]: each for each in deployed("node.yaml")}
    deployment = objects["Deployment"]["spec"]
    template = deployment["template"]
    assert restricted(template["spec"]) == []
    assert unknown_fields(template["spec"], "PodSpec") == []
    assert template["metadata"]["labels"]["vantage6-type"] == "node"
    # Two at a time would both execute every run.
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    (container,) = template["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    service = objects["Service"]
    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    assert ground.address_of({"spec": service["spec"] | {"clusterIP": "10.0.0.9"}}, 8080) == (
        "10.0.0.9",
        80,
    )


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"clusterIP": "None", "ports": [{"port": 80, "targetPort": 8080}]}, None),
        ({"clusterIP": "10.0.0.9", "ports": [{"port": 80, "targetPort": 9}]}, None),
        ({"clusterIP": "10.0.0.9", "ports": [{"port": 8080}]}, ("10.0.0.9", 8080)),
        ({"clusterIP": "fd00::9", "ports": [{"port": 8080}]}, ("[fd00::9]", 8080)),
    ],
)
def test_the_service_must_lead_to_the_proxy(spec: Any, expected: Any) -> None:
    assert ground.address_of({"spec": spec}, 8080) == expected


def test_the_trial_of_the_network_tells_an_open_one_from_a_closed_one() -> None:
    (job,) = deployed("try-network.yaml")
    pod = job["spec"]["template"]["spec"]
    assert unknown_fields(job, "Job") == []
    assert restricted(pod) == []
    # It must be what the policies are about.
    assert job["spec"]["template"]["metadata"]["labels"] == manifests.ALGORITHM
    code = pod["containers"][0]["command"][-1].replace("time.sleep(5)", "")
    code = code.replace("169.254.169.254", "127.0.0.1").replace(", 80)", ", 9)")
    with socket.create_server(("127.0.0.1", 0)) as api:
        port = str(api.getsockname()[1])
        place = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": port}
        command = [sys.executable, "-c", code]
        open_ = subprocess.run(command, env=place, capture_output=True, text=True, check=False)
    closed = subprocess.run(command, env=place, capture_output=True, text=True, check=False)
    assert open_.returncode == 1
    assert "NOT enforced" in open_.stderr
    assert closed.returncode == 0, closed.stderr
