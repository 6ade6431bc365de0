"""What a network is fine-tuned from and how: settings, checked when they are made."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from avscene.features.logmel import LogMelSpec
from avscene.models.cnn.audio_cnn import LOG_MEL
from avscene.records import Modality

Share = Annotated[float, Field(ge=0, le=1)]
Area = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Amount = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class AudioAugmentation(_Settings):
    """How a second of sound is varied.

    `random_crop` takes it from anywhere within a segment's length of where the segment lies, as far as the recording's
    training segments reach. `time_shift` turns it round by up to this share of its length, either way: what leaves at
    one end enters at the other. `gain` makes it louder or softer by up to so many dB. SpecAugment (Park et al. 2019)
    then hides up to `frequency_mask` bands, `frequency_masks` times, and up to `time_mask` steps, `time_masks` times.
    """

    random_crop: bool = True
    time_shift: Share = 0.25
    gain: NotNegative = 0.0
    frequency_masks: Amount = 2
    frequency_mask: Amount = 16
    time_masks: Amount = 2
    time_mask: Amount = 24


class FrameAugmentation(_Settings):
    """How a frame is varied.

    `random_frame` takes any of the segment's frames instead of the middle one. A crop of `crop_scale` (least and
    greatest share of the area) is scaled to the network's size and mirrored with probability `flip`; RandAugment (Cubuk
    et al. 2020) then applies two operations of magnitude `rand_augment` of 30; 0 leaves it out.
    """

    random_frame: bool = True
    crop_scale: tuple[Area, Area] = (0.35, 1.0)
    flip: Share = 0.5
    rand_augment: Annotated[int, Field(ge=0, le=30)] = 9


class NetworkPlan(_Settings):
    """One fine-tuning: `name` is what the model will be called, `backbone` is timm's name of the network.

    `image_size` (height, width) in pixels is that of the network's images; None takes a log-mel as it comes and a frame
    at the network's own size.

    An epoch is a permutation of the training segments. A step takes `batch` of them, in micro-batches of `micro_batch`:
    gradients add up over these, batch norms see one at a time. What an epoch leaves over that fills no micro-batch is
    left out of that epoch.

    AdamW (Loshchilov & Hutter 2019) at `learning_rate`, `head_factor` times as much for the classifier; it rises
    linearly over `warm_up` epochs and falls to 0 by a cosine. The weights that are kept are moving averages of decay
    `ema_decay` (less in the first steps).

    `mixup` is the alpha of mixup (Zhang et al. 2018), 0 for none. Partners and shares depend on `seed`, the step and
    the micro-batch alone: two plans, one for sound and one for frames, that agree in seed, batch sizes and training
    segments mix the same segments in the same shares, which is joint audio-visual mixup.

    `probe` is for few data, on an EfficientNet-Lite: the classifier sees several blocks (BlockNetwork) and begins as a
    linear probe, batch norms keep their ImageNet statistics, log-mels are shown in decibels below full scale; the
    weights that are kept lie half way from that beginning to the moving averages, and the temperature of their answers
    is fitted on the validation rows.
    """

    name: str
    input: Modality
    backbone: str
    image_size: tuple[Count, Count] | None = None
    log_mel: LogMelSpec = LOG_MEL
    epochs: Count = 15
    batch: Annotated[int, Field(ge=2)] = 64
    micro_batch: Annotated[int, Field(ge=2)] = 32
    learning_rate: Positive = 2e-4
    head_factor: Positive = 10.0
    weight_decay: NotNegative = 0.01
    warm_up: NotNegative = 1.0
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.999
    mixup: NotNegative = 0.3
    audio: AudioAugmentation = AudioAugmentation()
    frames: FrameAugmentation = FrameAugmentation()
    probe: bool = False
    seed: Amount = 0

    @model_validator(mode="after")
    def _fits(self) -> "NetworkPlan":
        if self.batch % self.micro_batch:
            raise ValueError(f"batch {self.batch} is not a multiple of micro_batch {self.micro_batch}")
        if self.input == "video" and self.image_size is not None and self.image_size[0] != self.image_size[1]:
            raise ValueError(f"image_size {self.image_size} is not square, as frames are")
        return self
