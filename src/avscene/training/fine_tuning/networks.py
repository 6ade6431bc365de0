"""Build a plan's network, optimiser and input reader, and describe the network for a checkpoint."""

from collections.abc import Sequence

import torch
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn

from avscene.datasets.store.reader import SegmentStore
from avscene.features.frames import FrameSpec
from avscene.features.logmel import LogMelSpec
from avscene.labels import LabelSet
from avscene.models.cnn.audio_cnn import BAND_STATISTICS, AudioCnnPart, LogMelNetwork
from avscene.models.cnn.backbones import backbone_frame_spec, classifier_of, create_backbone
from avscene.models.cnn.block_network import create_block_network
from avscene.models.cnn.frame_cnn import FrameCnnPart
from avscene.models.device import Runtime
from avscene.models.inference import is_depthwise
from avscene.models.precision.measurement import this_machine
from avscene.models.precision.work import MIN_GAIN
from avscene.training.fine_tuning.batch_norms import freeze_statistics
from avscene.training.fine_tuning.plan import NetworkPlan
from avscene.training.fine_tuning.readers import AudioReader, FrameReader, InputReader, store_band_statistics


def initial_network(
    plan: NetworkPlan, labels: LabelSet, store: SegmentStore, train_rows: Sequence[int], runtime: Runtime
) -> nn.Module:
    """Build the plan's network with its published weights, in training mode.

    A log-mel network also gets the mean and deviation by which its bands are standardised.

    Raises:
        UsageError: no such network.
        WeightsError: the published weights are absent.
    """
    network: nn.Module
    if plan.linear_probe:
        n_extra = BAND_STATISTICS * plan.log_mel.n_mels if plan.input == "audio" else 0
        network = create_block_network(plan.backbone, len(labels), n_extra)
    else:
        network = create_backbone(plan.backbone, len(labels), offline=runtime.offline, progress=runtime.progress)
    if plan.input == "audio":
        bands = (
            full_scale(plan.log_mel) if plan.linear_probe else store_band_statistics(store, train_rows, plan.log_mel)
        )
        network = LogMelNetwork(network, *bands, plan.image_size)
    network.to(memory_format=torch.channels_last).to(runtime.device).train()
    if plan.linear_probe:
        freeze_statistics(network)
    return network


def full_scale(spec: LogMelSpec) -> tuple[Tensor, Tensor]:
    """Return mean and deviation (n_mels,) in dB that map the range from the floor to full scale to [-1, 1]."""
    half = torch.full((spec.n_mels,), -spec.floor_db / 2)
    return -half, half


def averaged_network(plan: NetworkPlan, network: nn.Module) -> ModelEmaV3:
    """Return the moving average of a network's weights and statistics; its decay grows in the first steps."""
    return ModelEmaV3(network, decay=plan.ema_decay, use_warmup=True)


def optimiser_for(plan: NetworkPlan, network: nn.Module) -> torch.optim.AdamW:
    """Return AdamW with a group for each `factor` of the learning rate; scales and offsets do not decay."""
    head = classifier_names(network)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        factor = plan.head_factor if name in head else 1.0
        decay = plan.weight_decay if parameter.dim() > 1 else 0.0
        groups.setdefault((factor, decay), []).append(parameter)
    return torch.optim.AdamW(
        [{"params": taken, "factor": factor, "weight_decay": decay} for (factor, decay), taken in groups.items()],
        lr=plan.learning_rate,
    )


def classifier_names(network: nn.Module) -> frozenset[str]:
    """Return the names of the tensors of the network's last layer."""
    if isinstance(network, LogMelNetwork):
        return frozenset(f"backbone.{name}" for name in classifier_of(network.backbone))
    return frozenset(classifier_of(network))


def training_precision(network: nn.Module, runtime: Runtime) -> torch.dtype:
    """Return the precision of products: the runtime's or the faster one, but float32 for depthwise networks on a CPU.

    Their gradients are slower in bfloat16 there: 1.3 times for EfficientNet-Lite0 and B1, where RegNetY-6.4GF takes
    half the time of float32 (Xeon with AMX, two cores, torch 2.15).
    """
    if runtime.device.type == "cpu" and is_depthwise(network):
        return torch.float32
    if runtime.dtype is not None:
        return runtime.dtype
    if runtime.device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if this_machine().convolution.ratio >= MIN_GAIN else torch.float32


def reader_for(plan: NetworkPlan, network: nn.Module, store: SegmentStore, train_rows: Sequence[int]) -> InputReader:
    """Return the reader of the network's inputs from the store."""
    if isinstance(network, LogMelNetwork):
        return AudioReader(store, train_rows, plan, network.mean.cpu())
    return FrameReader(store, plan, frames_of(plan))


def part_of(plan: NetworkPlan) -> AudioCnnPart | FrameCnnPart:
    """Return a checkpoint's description of the plan's network."""
    if plan.input == "audio":
        return AudioCnnPart(
            name=plan.name,
            backbone=plan.backbone,
            log_mel=plan.log_mel,
            image_size=plan.image_size,
            blocks=plan.linear_probe,
        )
    return FrameCnnPart(name=plan.name, backbone=plan.backbone, frames=frames_of(plan), blocks=plan.linear_probe)


def frames_of(plan: NetworkPlan) -> FrameSpec:
    """Return the frame preprocessing of the plan's network."""
    return backbone_frame_spec(plan.backbone, None if plan.image_size is None else plan.image_size[0])
