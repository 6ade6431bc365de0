"""Train a system in the processes of a Ray cluster; a lost node's work goes on from the last saved state.

    python examples/train_on_ray.py full-video /shared/town.store /shared/my-video-system --workers 4 --gpu

STORE is made by `avscene prepare` and lies, as OUTPUT does, in a folder that all nodes share: the first process saves
the state of the training beside OUTPUT, and another node may be the first one after a failure. This is the training
that `torchrun ... -m avscene train` runs, started by Ray Train.
"""

import argparse
import os
from pathlib import Path

import ray
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer


def train_in_one_process(settings: dict[str, str]) -> None:
    """Take part in the training as one of its processes, which Ray Train has joined to a group."""
    from avscene.models.device import Runtime
    from avscene.training.train import train_system

    output = Path(settings["output"])
    if (output / "config.json").is_file():  # complete before a failure at the very end
        return
    train_system(
        settings["system"],
        Path(settings["store"]),
        output,
        holdout=settings["holdout"] or None,
        hop=1.0,  # the store has its own
        runtime=Runtime.choose(settings["device"], settings["precision"]),
        progress=lambda _stage: lambda _done, _all: None,
    )


def main() -> None:
    options = parse()
    for path in (options.store, options.output):
        if not os.path.isabs(path):  # noqa: PTH117  # workers have working directories of their own
            raise SystemExit(f"{path}: name an absolute path in a folder that all nodes share")
    ray.init(options.address, include_dashboard=False if options.address == "local" else None)
    trainer = TorchTrainer(
        train_in_one_process,
        train_loop_config={
            "system": options.system,
            "store": options.store,
            "output": options.output,
            "holdout": options.holdout,
            "device": "cuda" if options.gpu else "cpu",
            "precision": "auto" if options.gpu else "float32",
        },
        torch_config=TorchConfig(timeout_s=options.timeout),  # the longest wait for another process in a step
        scaling_config=ScalingConfig(
            num_workers=options.workers,
            use_gpu=options.gpu,
            resources_per_worker={"CPU": options.cpus, **({"GPU": 1} if options.gpu else {})},
        ),
        run_config=RunConfig(
            name="train",
            storage_path=f"{options.output}.ray",
            failure_config=FailureConfig(max_failures=options.max_failures),
        ),
    )
    trainer.fit()
    print(f"{options.output}: written; next: avscene classify VIDEO --system {options.output}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("system", help="a system that is trained, for example V01 or full-video")
    parser.add_argument("store", help="a store made by avscene prepare")
    parser.add_argument("output", help="directory of the checkpoint")
    parser.add_argument("--address", default="auto", help="of the cluster; local starts one of this machine")
    parser.add_argument("--holdout", default="", help="recordings to leave out, for example fold=5")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--cpus", type=float, default=1, help="processors of each process")
    parser.add_argument("--gpu", action="store_true", help="one GPU for each process")
    parser.add_argument("--max-failures", type=int, default=3, help="how often the training is started again")
    parser.add_argument("--timeout", type=int, default=1800, help="seconds to wait for a process that hangs")
    return parser.parse_args()


if __name__ == "__main__":
    main()
