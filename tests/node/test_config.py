"""The configuration file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from vantage6.common.configuration import ConfigurationError
from vantage6.node.config import NodeConfig

MINIMAL = {
    "api_key": "5c9e1c3e-0d0a-4a7a-9d53-2f3f1f0f7a11",
    "server_url": "https://v6.example.org",
    "port": 443,
    "api_path": "/api",
    "task_dir": "/unused",
    "databases": [],
    "encryption": {"enabled": False},
}


def load(folder: Path, **values: Any) -> NodeConfig:
    path = folder / "node.yaml"
    path.write_text(yaml.safe_dump(MINIMAL | values, sort_keys=False))
    return NodeConfig.load(path)


def test_the_contracts_example_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "utrecht.yaml"
    path.write_text(
        """
api_key: 5c9e1c3e-0d0a-4a7a-9d53-2f3f1f0f7a11
server_url: https://v6.example.org
port: 443
api_path: /api
task_dir: /var/lib/v6node
encryption: {enabled: true, private_key: /secure/orga.pem}
databases:
  - {label: default, uri: /data/patients.csv, type: csv}
  - {label: images, uri: /data/scans, type: folder, mount_mode: RO}
  - {label: wh, uri: "postgresql://ro@dbtunnel:5432/wh", type: sql, env: {schema: public}}
policies:
  allowed_algorithms: ['^ghcr\\.io/example/.*', 'registry.example.org/avg']
  allowed_organizations: [3, 'Org A']
logging: {level: INFO, use_console: true, backup_count: 5, max_size: 1024,
  format: "%(asctime)s %(levelname)s %(message)s", datefmt: "%H:%M:%S"}
"""
    )
    config = NodeConfig.load(path)
    assert config.name == "utrecht"
    assert config.api_url == "https://v6.example.org:443/api"
    assert config.private_key == Path("/secure/orga.pem")
    assert config.policies.allowed_organizations == ["3", "Org A"]
    assert [database.label for database in config.databases] == ["default", "images", "wh"]
    assert config.without_effect() == []


CLUSTER = {"claim": "runs", "network_policies": "enforced"}


@pytest.mark.parametrize(
    ("values", "base", "api"),
    [
        ({}, "https://v6.example.org:443", "https://v6.example.org:443/api"),
        ({"port": None}, "https://v6.example.org", "https://v6.example.org/api"),
        ({"api_path": ""}, "https://v6.example.org:443", "https://v6.example.org:443"),
        (
            {"server_url": "http://h:8080/", "port": 8080},
            "http://h:8080",
            "http://h:8080/api",
        ),
        (
            {"server_url": "http://h", "port": 80, "api_path": "v6/api/"},
            "http://h:80",
            "http://h:80/v6/api",
        ),
    ],
)
def test_addresses(tmp_path: Path, values: dict[str, Any], base: str, api: str) -> None:
    config = load(tmp_path, **values)
    assert (config.base_url, config.api_url) == (base, api)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"port": "many"}, ["port (line 3)", "valid integer"]),
        ({"port": 70000}, ["port (line 3)", "65535"]),
        ({"server_url": "v6.example.org"}, ["server_url must be http"]),
        ({"server_url": "https://u:p@h"}, ["must not hold a user name or password"]),
        ({"server_url": "https://h:1"}, ["names port 1, but port is 443"]),
        ({"encryption": {}}, ["encryption.enabled", "required but missing"]),
        ({"databases": {"default": "x.csv"}}, ["databases (line 6)", "valid list"]),
        (
            {"databases": [{"label": "my data", "uri": "x", "type": "csv"}]},
            ["databases.0", "'my data' must be letters, digits and underscores"],
        ),
        (
            {"databases": [{"label": "tmp", "uri": "x", "type": "csv"}]},
            ["label 'tmp' is reserved"],
        ),
        (
            {"databases": [{"label": x, "uri": "x", "type": "csv"} for x in ("a", "A")]},
            ["label 'a' occurs twice"],
        ),
        ({"databases": [{"label": "a", "uri": "x"}]}, ["databases.0.type", "missing"]),
        ({"policies": {"allowed_algorithms": "*"}}, ["'*' is not a regular expression"]),
        (
            {"policies": {"allowed_algorithm_stores": "https://(store"}},
            ["allowed_algorithm_stores: 'https://(store' is not a regular expression"],
        ),
        (
            {"policies": {"working_hours": {"from": "8:00", "to": "18:00", "timezone": "Moon"}}},
            ["policies.working_hours", "knows no time zone 'Moon'"],
        ),
        (
            {"policies": {"working_hours": {"days": ["monday"], "from": "08:00", "to": "18:00"}}},
            ["policies.working_hours.days.0", "'mon'"],
        ),
        ({"policies": {"max_runs_per_user": 0}}, ["policies.max_runs_per_user", "greater than 0"]),
        ({"vpn_subnet": "10.76.0.0/16"}, ["vpn_subnet: this node cannot do this"]),
        ({"ssh-tunnels": [{"hostname": "db"}]}, ["ssh-tunnels.0.ssh", "is required but missing"]),
        ({"docker_services": {"db": "container"}}, ["docker_services: the process runtime"]),
        ({"algorithm_device_requests": {"gpu": True}}, ["algorithm_device_requests: the process"]),
        ({"whitelist": {"domains": ["example.org"]}}, ["whitelist.ports", "missing"]),
        (
            {"whitelist": {"domains": ["https://a.org"], "ports": [443]}},
            ["whitelist.domains: 'https://a.org' must be the exact name"],
        ),
        ({"whitelist": {"domains": ["*.a.org"], "ports": [443]}}, ["'*.a.org' must be the exact"]),
        ({"whitelist": {"ips": ["10.0.0.1/8"], "ports": [443]}}, ["whitelist.ips", "host bits"]),
        ({"whitelist": {"hosts": [], "ports": [1]}}, ["whitelist.hosts", "not a key"]),
        ({"outgoing_proxy": "proxy:3128"}, ["outgoing_proxy must be http"]),
        ({"logging": {"level": "LOUD"}}, ["logging.level (line 10)", "'DEBUG'"]),
        ({"logging": {"max_size": 1}}, ["logging.max_size", "greater than 16"]),
        ({"algorithm_env": {"PKG_NAME": "x"}}, ["algorithm_env: 'PKG_NAME'"]),
        ({"algorithm_env": {"A-B": "x"}}, ["algorithm_env: 'A-B'"]),
        ({"runtime": "lxc"}, ["runtime", "'process'"]),
        ({"docker": {"host": "tcp://1.2.3.4:2375"}}, ["docker.host", "unix://"]),
        ({"docker": {"user": "root"}}, ["docker.user"]),
        ({"docker": {"privileged": True}}, ["docker.privileged", "not a key"]),
        ({"runtime": "kubernetes"}, ["kubernetes.claim is required", "docs/kubernetes.md"]),
        (
            {"runtime": "kubernetes", "kubernetes": {"claim": "runs"}},
            ["kubernetes.network_policies", "set 'enforced'"],
        ),
        ({"kubernetes": {"network_policies": "maybe"}}, ["kubernetes.network_policies"]),
        (
            {"runtime": "kubernetes", "docker_services": {"db": "c"}, "kubernetes": CLUSTER},
            ["docker_services: the kubernetes runtime"],
        ),
        ({"kubernetes": {"claim": "No Such_Name"}}, ["kubernetes.claim"]),
        ({"kubernetes": {"claim_path": "../other"}}, ["kubernetes.claim_path", "below the volume"]),
        ({"kubernetes": {"claim_path": "/runs"}}, ["kubernetes.claim_path", "no leading '/'"]),
        (
            {"kubernetes": {"volumes": [{"path": "/d", "claim": "d", "sub_path": "a/../.."}]}},
            ["kubernetes.volumes.0.sub_path", "below the volume"],
        ),
        ({"kubernetes": {"user": "0:0"}}, ["kubernetes.user"]),
        ({"kubernetes": {"user": "root"}}, ["kubernetes.user"]),
        ({"kubernetes": {"api": "http://10.0.0.1"}}, ["kubernetes.api", "https://"]),
        ({"kubernetes": {"privileged": True}}, ["kubernetes.privileged", "not a key"]),
        (
            {"kubernetes": {"limits": {"processes": 3}}},
            ["kubernetes.limits.processes", "not a key"],
        ),
        ({"process": {"sandbox": "maybe"}}, ["process.sandbox", "'required' or 'none'"]),
        ({"process": {"sandbx": "none"}}, ["process.sandbx", "not a key of this section"]),
        ({"process": {"limits": {"memory": "lots"}}}, ["process.limits.memory"]),
        ({"process": {"algorithms": {"i": {"module": "a b"}}}}, ["process.algorithms.i.module"]),
        ({"max_concurrent_runs": 0}, ["max_concurrent_runs"]),
    ],
)
def test_a_bad_value_is_named_with_its_key_and_what_is_allowed(
    tmp_path: Path, values: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, **values)
    for word in words:
        assert word in str(caught.value)
    assert str(tmp_path / "node.yaml") in str(caught.value)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"policies": {"allowed_algoritms": ["x"]}},
            ["allowed_algoritms (", "allowed_algorithms'?"],
        ),
        ({"policies": {"only_on_sundays": True}}, ["policies.only_on_sundays (", "not a key"]),
        ({"polices": {"allowed_users": [1]}}, ["polices (line 9)", "did you mean 'policies'?"]),
        ({"share_confg": False}, ["share_confg (line 9)", "did you mean 'share_config'?"]),
        ({"logging": {"levle": "INFO"}}, ["logging.levle", "did you mean 'level'?"]),
        (
            {"databases": [{"label": "a", "uri": "x", "type": "csv", "mount_mod": "ro"}]},
            ["databases.0.mount_mod", "did you mean 'mount_mode'?"],
        ),
        (
            {"process": {"algorithms": {"i": {"module": "a", "pyton": "/x"}}}},
            ["process.algorithms.i.pyton", "did you mean 'python'?"],
        ),
        (
            {"databases": [{"label": "a", "uri": "x", "type": "cvs"}]},
            ["databases.0.type", "did you mean 'csv'?", "parquet"],
        ),
        ({"share_config": "perhaps"}, ["share_config", "true or false"]),
        ({"databases": {"a": "b"}}, ["- a"]),
        ({"process": {"limits": {"memory": "lots"}}}, ["process.limits.memory", "4GiB"]),
        ({"policies": {"working_hours": {"from": 8, "to": "18:00"}}}, ["hours.from", "'08:00'"]),
        ({"api_key": "${API_KEY}"}, ["api_key (line 1)", "'${API_KEY}'", "V6_NODE__API_KEY"]),
    ],
)
def test_a_slip_of_the_pen_is_told_before_anything_starts(
    tmp_path: Path, values: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, **values)
    for word in words:
        assert word in str(caught.value)


def test_a_key_that_is_there_twice_is_refused_with_both_lines(tmp_path: Path) -> None:
    path = tmp_path / "node.yaml"
    text = yaml.safe_dump(MINIMAL, sort_keys=False)
    path.write_text(f"{text}policies: {{allowed_users: [1]}}\npolicies: {{}}\n")
    with pytest.raises(ConfigurationError, match=r"policies \(lines 9 and 10\): occurs twice"):
        NodeConfig.load(path)


def test_a_tab_is_told_of_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "node.yaml"
    path.write_text(yaml.safe_dump(MINIMAL) + "policies:\n\tallowed_users: [1]\n")
    with pytest.raises(ConfigurationError, match=r"not YAML: line 10: .*tab.*spaces"):
        NodeConfig.load(path)


def test_variables_win_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("V6_NODE__API_KEY", "from the environment")
    monkeypatch.setenv("V6_NODE__POLICIES__ALLOWED_USERS", "[7]")
    config = load(tmp_path, api_key="${API_KEY}")
    assert config.api_key.get_secret_value() == "from the environment"
    assert config.policies.allowed_users == ["7"]


def test_what_the_4_15_wizard_writes_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PRIVATE_KEY", raising=False)
    config = load(
        tmp_path,
        port="443",
        encryption={"enabled": True, "private_key": ""},
        logging={"level": "DEBUG", "file": "x.log", "loggers": [{"name": "a", "level": "warning"}]},
        directories={"data": "data"},
    )
    assert config.port == 443
    assert config.private_key == tmp_path / "data" / "private_key.pem"
    assert config.logging.loggers[0].level == "WARNING"
    assert config.remarks() == []


@pytest.mark.parametrize("password", ["geheim", "ge:h@im", "a@b@c"])
def test_no_part_of_a_password_is_shown(tmp_path: Path, password: str) -> None:
    uri = f"mariadb://reader:{password}@10.0.0.7/wh"
    config = load(tmp_path, databases=[{"label": "a", "uri": uri, "type": "sql"}])
    assert config.databases[0].shown_uri == "mariadb://reader:***@10.0.0.7/wh"


@pytest.mark.parametrize("key", [key for key in MINIMAL if key != "task_dir"])
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    path = tmp_path / "node.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in MINIMAL.items() if k != key}))
    with pytest.raises(ConfigurationError, match=f"{key}.*: is required but missing"):
        NodeConfig.load(path)


@pytest.mark.parametrize("text", ["", "- a", "just text", "a: [", "\ta: 1"])
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "node.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"node\.yaml"):
        NodeConfig.load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.yaml"):
        NodeConfig.load(tmp_path / "none.yaml")


def test_an_error_never_shows_the_api_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, api_key={"secret": "hunter2"}, port="x")
    assert "hunter2" not in str(caught.value)


def test_keys_that_do_nothing_are_told_of(tmp_path: Path) -> None:
    config = load(tmp_path, polices={}, run_context_file=True, vpn_subnet=None, images={"node": 1})
    assert config.without_effect() == ["polices", "run_context_file"]
    assert config.remarks()[0].startswith("'polices' (line 9) is not a key that is read")


def test_the_kubernetes_runtime_has_limits_of_its_own(tmp_path: Path) -> None:
    section = CLUSTER | {"limits": {"memory": "2GiB"}}
    config = load(tmp_path, runtime="kubernetes", kubernetes=section)
    assert config.limits.memory == 2 * 1024**3
    assert load(tmp_path).limits.memory == 4 * 1024**3


def test_limits_take_sizes_in_words(tmp_path: Path) -> None:
    limits = load(tmp_path, process={"limits": {"memory": "2GiB", "wall_time": 60}}).process.limits
    assert limits.as_limits().memory == 2 * 1024**3
    assert limits.as_limits().wall_time == 60


def test_the_lessons_image_is_known_without_configuration(tmp_path: Path) -> None:
    algorithms = load(tmp_path).process.algorithms
    assert algorithms["harbor2.vantage6.ai/demo/average"].module == "vantage6.algorithms.average"


def test_relative_paths_start_beside_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PRIVATE_KEY", raising=False)
    config = load(
        tmp_path, directories={"data": "data"}, encryption={"enabled": True, "private_key": "k.pem"}
    )
    assert config.folder == tmp_path / "data"
    assert config.private_key == tmp_path / "data" / "k.pem"
    assert load(tmp_path, state_dir="state").folder == tmp_path / "state"
    monkeypatch.setenv("PRIVATE_KEY", "/mnt/private_key.pem")
    assert config.private_key == Path("/mnt/private_key.pem")
