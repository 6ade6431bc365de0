"""Test that Ray accepts the configurations of clusters, as far as that can be tested without one."""

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.processes import ROOT

EXAMPLES = ROOT / "examples"
SHARED = "/archive"  # the file system that all nodes see


def of(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((EXAMPLES / name).read_text()))


@pytest.fixture
def ray_util() -> Any:
    return pytest.importorskip("ray.autoscaler._private.util", reason="Ray is not installed")


def test_ray_accepts_the_cluster(ray_util: Any) -> None:
    (config,) = of("cluster.yaml")
    ray_util.validate_config(ray_util.fillout_defaults(config))
    assert config["head_node_type"] in config["available_node_types"]


def test_ray_refuses_a_cluster_with_a_key_that_it_does_not_know(ray_util: Any) -> None:
    (config,) = of("cluster.yaml")
    config["available_node_types"]["cpu"]["minimum_workers"] = 1
    with pytest.raises(Exception, match="minimum_workers"):
        ray_util.validate_config(ray_util.fillout_defaults(config))


def test_ray_reads_the_groups_of_the_manifest(ray_util: Any) -> None:
    autoscaling = pytest.importorskip("ray.autoscaler._private.kuberay.autoscaling_config")
    job = of("kuberay.yaml")[2]
    cluster = {"metadata": {"name": "avscene", "namespace": "default"}, "spec": job["spec"]["rayClusterSpec"]}
    config = autoscaling._derive_autoscaling_config_from_ray_cr(cluster)
    ray_util.validate_config(config)
    types = config["available_node_types"]
    found = {name: (row["resources"], row["min_workers"], row["max_workers"]) for name, row in types.items()}
    gib = 2**30
    assert found["cpu"] == ({"CPU": 16, "memory": 32 * gib}, 0, 64)
    assert found["gpu"] == ({"CPU": 16, "memory": 64 * gib, "GPU": 1}, 0, 16)
    (head,) = [row for name, (row, *_) in found.items() if name not in ("cpu", "gpu")]
    assert head["CPU"] == 0


def test_every_container_mounts_the_shared_volume() -> None:
    claim, _, job = of("kuberay.yaml")
    assert (claim["kind"], claim["spec"]["accessModes"]) == ("PersistentVolumeClaim", ["ReadWriteMany"])
    spec = job["spec"]["rayClusterSpec"]
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        (volume,) = pod["volumes"]
        assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
        for container in pod["containers"]:
            assert container["volumeMounts"] == [{"name": volume["name"], "mountPath": SHARED}]


def test_the_dashboards_are_not_open_to_the_network() -> None:
    (config,) = of("cluster.yaml")
    assert "--dashboard-host=127.0.0.1" in config["head_start_ray_commands"][-1]
    policy = of("kuberay.yaml")[1]  # the operator must reach the dashboard, nobody else
    assert policy["spec"]["podSelector"]["matchLabels"] == {"ray.io/is-ray-node": "yes"}
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    (rule,) = policy["spec"]["ingress"]
    assert all("ipBlock" not in source for source in rule["from"])


def test_commands_are_those_of_avscene() -> None:
    from typer.main import get_command

    from avscene.cli.main import app

    entry = shlex.split(of("kuberay.yaml")[2]["spec"]["entrypoint"])
    comment = next(line for line in (EXAMPLES / "cluster.yaml").read_text().splitlines() if "ray exec" in line)
    commands = [entry, shlex.split(shlex.split(comment.lstrip("# "))[-1])]
    for command in commands:
        assert command[0] == "avscene"
        options = {name for one in get_command(app).commands[command[1]].params for name in one.opts}
        assert {word for word in command if word.startswith("--")} <= options
        assert all(word.startswith(SHARED) for word in command if "/" in word)
    assert Path(EXAMPLES / "train_on_ray.py").is_file()
