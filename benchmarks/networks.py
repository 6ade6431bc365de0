"""Time three networks in images per second as avscene runs them, beside the same networks in torch's float32.

python -m benchmarks.networks

Both take the batch of avscene. For ViT-B/32, the share of the peak of matrix products in the same precision, measured
in the same rounds, shows how much could be gained; the peaks of both precisions show what bfloat16 can gain.
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
from benchmarks.fast_precision import faster_precision
from benchmarks.harness import Row, Run, main, ratios, time_in_turn
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
MIN_CORRELATION = 0.98  # of the outputs of both sides: bfloat16 has 8 bits, and random networks are deep
TARGET, TARGET_FLOAT32 = 2.7, 1.4  # where bfloat16 is faster, and elsewhere
TARGET_SHARE = 0.7


def rows(rounds: int, quick: bool) -> Iterator[Row]:
    networks, sides = (SMALL, SIDES[:1]) if quick else (NETWORKS, SIDES)
    found: list[dict[str, list[float]]] = []
    peaks: dict[torch.dtype, list[float]] = {}
    chosen: list[torch.dtype] = []
    for name, build in networks.items():
        network = build()
        images = images_of(name, network)
        peers = products(sides, PRECISIONS) if name == VIT else {}
        dtype = precision_of(network, images)
        chosen.append(dtype)
        found.append(time_in_turn(runs_of(network, images, dtype) | peers, rounds))
        yield beside_torch(name, found[-1], dtype)
        if name == VIT:
            peaks = {dtype: peak(found[-1], dtype, sides) for dtype in PRECISIONS}
            yield share_of_peak(operations(network, images), found[-1]["ours"], peaks[dtype])
    yield mean_of(found, chosen, peaks)


def images_of(name: str, network: nn.Module) -> Tensor:
    """Return a batch of images of the network's size."""
    return blurred_noise(network.image_size[0] if name == VIT else SIDE, BATCH_SIZE)


def precision_of(network: nn.Module, images: Tensor) -> torch.dtype:
    """Return the precision that is faster for the network on this machine."""
    return faster_precision(Inference(copy.deepcopy(network), [images[:1]], Runtime.choose("cpu")))


def runs_of(network: nn.Module, images: Tensor, dtype: torch.dtype) -> dict[str, Run]:
    """Return the network as avscene runs it, as it does in float32, and as timm and open_clip document it."""
    ours, float32 = (
        Inference(copy.deepcopy(network), [images[:1]], Runtime(torch.device("cpu"), each))
        for each in (dtype, torch.float32)
    )
    plain = torch.inference_mode()(network)
    check(ours(images), plain(images))
    check(float32(images), plain(images))
    return {"ours": lambda: ours(images), "float32": lambda: float32(images), "torch": lambda: plain(images)}


def check(ours: Tensor, theirs: Tensor) -> None:
    """Check that both outputs agree as far as the precision allows."""
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    correlation = float(torch.corrcoef(torch.stack([ours.flatten(), theirs.flatten()]))[0, 1])
    assert correlation > MIN_CORRELATION, correlation


def beside_torch(name: str, times: dict[str, list[float]], dtype: torch.dtype) -> Row:
    ours, plain = (f"{BATCH_SIZE / median(times[side]):.1f} images/s" for side in ("ours", "torch"))
    return Row(
        f"{name}, batch {BATCH_SIZE}",
        f"{ours} ({_name(dtype)})",
        f"torch, float32: {plain}",
        ratios(times["torch"], times["ours"]),
    )


def share_of_peak(n_operations: int, times: list[float], rates: list[float]) -> Row:
    return Row(
        f"{VIT}, share of the peak",
        f"{n_operations / median(times) / 1e9:.0f} GFLOP/s",
        f"matrix products: {median(rates) / 1e9:.0f} GFLOP/s",
        tuple(n_operations / seconds / rate for seconds, rate in zip(times, rates, strict=True)),
        TARGET_SHARE,
        "the fastest of a few square products in the same precision",
    )


def mean_of(
    found: list[dict[str, list[float]]], chosen: list[torch.dtype], peaks: dict[torch.dtype, list[float]]
) -> Row:
    """Return the geometric mean over the networks, for each round."""
    means = {
        ours: tuple(map(geometric_mean, zip(*(ratios(times["torch"], times[ours]) for times in found), strict=True)))
        for ours in ("ours", "float32")
    }
    products_note = ", ".join(f"{_name(dtype)} {median(rates) / 1e9:.0f}" for dtype, rates in peaks.items())
    note = f"{median(means['float32']):.2f} with avscene in float32; matrix products in GFLOP/s: {products_note}"
    target = TARGET if torch.bfloat16 in chosen else TARGET_FLOAT32
    names = ", ".join(dict.fromkeys(map(_name, chosen)))
    return Row("networks, geometric mean", names, "torch, float32", means["ours"], target, note)


@torch.inference_mode()
def operations(network: nn.Module, images: Tensor) -> int:
    """Return the floating-point operations of the network."""
    torch.backends.mha.set_fastpath_enabled(False)  # the counter does not support it
    with FlopCounterMode(display=False) as counter:
        network(images)
    torch.backends.mha.set_fastpath_enabled(True)
    return counter.get_total_flops()


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


if __name__ == "__main__":
    main(rows, __doc__)
