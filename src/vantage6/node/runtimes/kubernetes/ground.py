"""What a namespace must have before algorithms may run in it: looked at before any run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from vantage6.node.runtimes.kubernetes.cluster import Cluster, ClusterRefusal
from vantage6.node.runtimes.kubernetes.manifests import OWN, POD_SECURITY, RIGHTS, volume_of
from vantage6.node.runtimes.kubernetes.settings import Settings

_POLICIES = "kubectl apply -f deploy/kubernetes/network-policies.yaml"


async def flaws(cluster: Cluster, settings: Settings, labels: Mapping[str, str]) -> list[str]:
    """What is wrong, each with what to do; nothing is changed.

    Parameters
    ----------
    labels : mapping
        Of the pods that runs get.

    Raises
    ------
    ClusterAway
        If the cluster's API does not answer.
    """
    lacking = await _rights(cluster, settings)
    if lacking:
        # The rest could only fail for the same reason.
        return lacking
    namespace = await cluster.get_namespace()
    policies = (await cluster.list("networkpolicies")).items
    return [
        *_namespace(namespace, cluster.namespace),
        *network_flaws(policies, labels, settings.proxy_port),
        *await _claims(cluster, settings),
        *_databases(settings),
    ]


async def _rights(cluster: Cluster, settings: Settings) -> list[str]:
    lacking = []
    for group, resource, name, verbs in RIGHTS:
        only = name.format(namespace=cluster.namespace, service=settings.service)
        missing = [verb for verb in verbs if not await cluster.may(verb, group, resource, only)]
        if missing:
            lacking.append(f"{', '.join(missing)} {resource}")
    if not lacking:
        return []
    return [
        f"the node's service account may not {'; '.join(lacking)}: "
        "kubectl apply -f deploy/kubernetes/rights.yaml"
    ]


def _namespace(namespace: Mapping[str, Any], name: str) -> list[str]:
    key, value = POD_SECURITY
    found = (namespace["metadata"].get("labels") or {}).get(key, "not set")
    if found == value:
        return []
    return [
        f"the label {key} of namespace {name} is {found}: kubectl label ns {name} {key}={value}"
    ]


def network_flaws(
    policies: Iterable[Mapping[str, Any]], labels: Mapping[str, str], proxy_port: int
) -> list[str]:
    """What is wrong with the namespace's policies for pods that bear labels.

    Policies only ever add to what is allowed, so all that select the pods are looked at.
    """
    shut: set[str] = set()
    wrong = []
    reaches_proxy = False
    for policy in policies:
        spec = policy["spec"]
        if not _selects(spec.get("podSelector") or {}, labels):
            continue
        name = policy["metadata"]["name"]
        # Without types it is about what comes in, and about what goes out if it has such rules.
        types = spec.get("policyTypes") or (["Ingress", "Egress"][: 1 + ("egress" in spec)])
        shut.update(types)
        if "Ingress" in types and spec.get("ingress"):
            wrong.append(f"network policy {name} lets something reach algorithms: remove it")
        for rule in (spec.get("egress") or []) if "Egress" in types else []:
            if _is_proxy(rule, proxy_port):
                reaches_proxy = True
            else:
                wrong.append(
                    f"network policy {name} lets algorithms reach more than the node's port "
                    f"{proxy_port}: remove it, or have it select other pods"
                )
    open_ = [way for way in ("Ingress", "Egress") if way not in shut]
    if open_:
        wrong.append(f"no network policy shuts algorithms in ({' and '.join(open_)}): {_POLICIES}")
    elif not reaches_proxy:
        wrong.append(f"no network policy lets algorithms reach the node's proxy: {_POLICIES}")
    return wrong


def _is_proxy(rule: Mapping[str, Any], port: int) -> bool:
    return rule.get("to") == [{"podSelector": {"matchLabels": OWN}}] and rule.get("ports") == [
        {"protocol": "TCP", "port": port}
    ]


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    wanted = selector.get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(_meets(each, labels) for each in selector.get("matchExpressions") or ())


def _meets(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:  # DoesNotExist
            return key not in labels


async def _claims(cluster: Cluster, settings: Settings) -> list[str]:
    wrong = []
    for claim in dict.fromkeys((settings.claim, *(each.claim for each in settings.volumes))):
        try:
            found = await cluster.get("persistentvolumeclaims", claim)
        except ClusterRefusal as refusal:
            wrong.append(f"volume claim {claim}: {refusal}")
            continue
        phase = (found.get("status") or {}).get("phase")
        if phase != "Bound":
            wrong.append(
                f"volume claim {claim} is {phase}, not Bound: kubectl describe pvc {claim}"
            )
        modes = found["spec"].get("accessModes") or []
        if claim == settings.claim and not {"ReadWriteMany", "ReadWriteOnce"} & set(modes):
            wrong.append(f"volume claim {claim} cannot be written to by node and runs: {modes}")
    return wrong


def _databases(settings: Settings) -> list[str]:
    return [
        f"the database {path} is in none of kubernetes.volumes, so that no run could see it"
        for path in settings.databases
        if volume_of(settings.volumes, path.resolve()) is None
    ]


def address_of(service: Mapping[str, Any], proxy_port: int) -> tuple[str, int] | None:
    """Address and port under which a Service leads to the node's proxy; None if it does not."""
    spec = service["spec"]
    address = spec.get("clusterIP")
    if not address or address == "None":
        return None
    for port in spec.get("ports") or ():
        if port.get("targetPort", port["port"]) == proxy_port:
            return (f"[{address}]" if ":" in address else str(address)), int(port["port"])
    return None
