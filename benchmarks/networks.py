"""Images a second of three networks as avscene asks them, against the same networks called plainly in float32.

python -m benchmarks.networks

Both look at the pipeline's batch. For ViT-B/32 also the share of the peak of matrix products in the same precision,
measured in the same rounds: it tells what is left to gain. Twice as fast is wanted where avscene takes bfloat16; what
there is to gain from that is told by the peaks of both precisions.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from statistics import geometric_mean, median

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from avscene.inference import BATCH_SIZE
from avscene.models.device import Runtime
from avscene.models.inference import Inference
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
    found: list[dict[str, list[float]]] = []
    peaks: dict[torch.dtype, list[float]] = {}
    for name, build in networks.items():
        network = build()
        images = images_of(name, network)
        peers = products(sides, PRECISIONS) if name == VIT else {}
        found.append(in_turn(each_way(network, images, runtime) | peers, rounds))
        yield against_plain(name, found[-1], runtime)
        if name == VIT:
            peaks = {dtype: peak(found[-1], dtype, sides) for dtype in PRECISIONS}
            yield share_of_peak(operations(network, images), found[-1]["ours"], peaks[runtime.dtype])
    yield mean_of(found, runtime, peaks)


def images_of(name: str, network: nn.Module) -> Tensor:
    """A batch of the network's size."""
    return blurred_noise(network.image_size[0] if name == VIT else SIDE, BATCH_SIZE)


def each_way(network: nn.Module, images: Tensor, runtime: Runtime) -> dict[str, Run]:
    """The network as avscene asks it, and in float32, and as the documentation of timm and open_clip has it."""
    ours, float32 = (
        Inference(copy.deepcopy(network), [images[:1]], each) for each in (runtime, Runtime.choose("cpu", "float32"))
    )
    plain = torch.inference_mode()(network)
    check(ours(images), plain(images))
    check(float32(images), plain(images))
    return {"ours": lambda: ours(images), "float32": lambda: float32(images), "plain": lambda: plain(images)}


def check(ours: Tensor, theirs: Tensor) -> None:
    """Both say the same of each image, as far as the precision goes."""
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    alike = float(torch.corrcoef(torch.stack([ours.flatten(), theirs.flatten()]))[0, 1])
    assert alike > ALIKE, alike


def against_plain(name: str, taken: dict[str, list[float]], runtime: Runtime) -> Row:
    ours, plain = (f"{BATCH_SIZE / median(taken[side]):.1f} images/s" for side in ("ours", "plain"))
    return Row(
        f"{name}, batch {BATCH_SIZE}",
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


def mean_of(found: list[dict[str, list[float]]], runtime: Runtime, peaks: dict[torch.dtype, list[float]]) -> Row:
    """The geometric mean over the networks, round by round."""
    means = {
        ours: tuple(map(geometric_mean, zip(*(ratios(taken["plain"], taken[ours]) for taken in found), strict=True)))
        for ours in ("ours", "float32")
    }
    told = ", ".join(f"{_name(dtype)} {median(rates) / 1e9:.0f}" for dtype, rates in peaks.items())
    note = f"{median(means['float32']):.2f} where avscene takes float32; GFLOP/s of matrix products: {told}"
    least = LEAST if runtime.dtype == torch.bfloat16 else None
    return Row("networks, geometric mean", _name(runtime.dtype), "plain torch, float32", means["ours"], least, note)


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
