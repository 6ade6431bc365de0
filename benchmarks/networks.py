"""Images a second of three networks as avscene asks them, against the same networks called plainly in float32.

python -m benchmarks.networks

Both look at the pipeline's batch. For ViT-B/32 also the share of the peak of matrix products in the same precision,
measured in the same rounds: it tells what is left to gain.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from statistics import geometric_mean, median

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from avscene.models.device import Runtime
from avscene.models.inference import Inference
from avscene.pipeline import BATCH
from benchmarks.harness import Row, Run, in_turn, main, ratios
from benchmarks.matrix_products import PRECISIONS, SIDES, peak, products
from benchmarks.random_clip import VIT_B_32, random_clip
from benchmarks.random_weights import backbone, blurred_noise

VIT = "ViT-B/32"
SIDE = 224  # pixels
NETWORKS: Mapping[str, Callable[[], nn.Module]] = {
    VIT: lambda: random_clip(VIT_B_32, quick=False).visual,
    "RegNetY-6.4GF": lambda: backbone("regnety_064", blurred_noise(SIDE)),
    "HRNet-W18": lambda: backbone("hrnet_w18", blurred_noise(SIDE)),
}
SMALL: Mapping[str, Callable[[], nn.Module]] = {
    VIT: lambda: random_clip(VIT_B_32, quick=True).visual,
    "RegNetY-200MF": lambda: backbone("regnety_002", blurred_noise(SIDE)),
}
ALIKE = 0.98  # least correlation of both sides' figures: bfloat16 has 8 bits, and random networks are deep
LEAST, LEAST_SHARE = 2, 0.7


def rows(rounds: int, quick: bool) -> Iterator[Row]:
    runtime = Runtime.choose("cpu")
    networks, sides = (SMALL, SIDES[:1]) if quick else (NETWORKS, SIDES)
    found: list[Row] = []
    peaks: dict[torch.dtype, list[float]] = {}
    for name, build in networks.items():
        network = build()
        images = images_of(name, network)
        taken = in_turn(both(network, images, runtime) | (products(sides, PRECISIONS) if name == VIT else {}), rounds)
        found.append(against_plain(name, taken, runtime))
        yield found[-1]
        if name == VIT:
            peaks = {dtype: peak(taken, dtype, sides) for dtype in PRECISIONS}
            yield share_of_peak(operations(network, images), taken["ours"], peaks[runtime.dtype])
    yield mean_of(found, runtime, peaks)


def images_of(name: str, network: nn.Module) -> Tensor:
    """A batch of the network's size."""
    return blurred_noise(network.image_size[0] if name == VIT else SIDE, BATCH)


def both(network: nn.Module, images: Tensor, runtime: Runtime) -> dict[str, Run]:
    """The network as avscene asks it and as the documentation of timm and open_clip has it."""
    ours = Inference(copy.deepcopy(network), [images[:1]], runtime)
    plain = torch.inference_mode()(network)
    check(ours(images), plain(images))
    return {"ours": lambda: ours(images), "plain": lambda: plain(images)}


def check(ours: Tensor, theirs: Tensor) -> None:
    """Both say the same of each image, as far as the precision goes."""
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    alike = float(torch.corrcoef(torch.stack([ours.flatten(), theirs.flatten()]))[0, 1])
    assert alike > ALIKE, alike


def against_plain(name: str, taken: dict[str, list[float]], runtime: Runtime) -> Row:
    ours, plain = (f"{BATCH / median(taken[side]):.1f} images/s" for side in ("ours", "plain"))
    return Row(
        f"{name}, batch {BATCH}",
        f"{ours} ({_name(runtime.dtype)})",
        f"plain torch, float32: {plain}",
        ratios(taken["plain"], taken["ours"]),
    )


def share_of_peak(n_operations: int, taken: list[float], rates: list[float]) -> Row:
    return Row(
        f"{VIT}, share of the peak",
        f"{n_operations / median(taken) / 1e9:.0f} GFLOP/s",
        f"matrix products: {median(rates) / 1e9:.0f} GFLOP/s",
        tuple(n_operations / seconds / rate for seconds, rate in zip(taken, rates, strict=True)),
        LEAST_SHARE,
        "the best of a few square products in the same precision",
    )


def mean_of(rows: list[Row], runtime: Runtime, peaks: dict[torch.dtype, list[float]]) -> Row:
    """The geometric mean, round by round."""
    told = ", ".join(f"{_name(dtype)} {median(rates) / 1e9:.0f}" for dtype, rates in peaks.items())
    least = LEAST if runtime.dtype == torch.bfloat16 else None
    lack = "" if least else "; nothing is wanted where a processor does not compute in bfloat16"
    return Row(
        "networks, geometric mean",
        _name(runtime.dtype),
        "plain torch, float32",
        tuple(geometric_mean(ratios) for ratios in zip(*(row.ratios for row in rows), strict=True)),
        least,
        f"GFLOP/s of matrix products: {told}{lack}",
    )


@torch.inference_mode()
def operations(network: nn.Module, images: Tensor) -> int:
    """Floating-point operations of the network."""
    torch.backends.mha.set_fastpath_enabled(False)  # the counter does not look into it
    with FlopCounterMode(display=False) as counter:
        network(images)
    torch.backends.mha.set_fastpath_enabled(True)
    return counter.get_total_flops()


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


if __name__ == "__main__":
    main(rows, __doc__)
