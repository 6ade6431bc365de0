"""Define the settings of a fine-tuning, validated when they are created."""

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
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)


class AudioAugmentation(_Settings):
    """Augmentation of audio.

    `random_crop` takes a segment's length of audio from the segment and a neighbour of it among the training segments
    of the recording. `time_shift` rotates it by up to this share of its length in either direction. `gain` amplifies or
    attenuates it by up to so many dB. `limited_band` is the share of segments of which all above a random frequency is
    removed, as a low sample rate or a codec does. SpecAugment (Park et al. 2019) then masks up to `frequency_mask`
    bands, `frequency_masks` times, and up to `time_mask` steps, `time_masks` times.
    """

    random_crop: bool = True
    time_shift: Share = 0.25
    gain: NotNegative = 0.0
    limited_band: Share = 0.0
    frequency_masks: Amount = 2
    frequency_mask: Amount = 16
    time_masks: Amount = 2
    time_mask: Amount = 24


class FrameAugmentation(_Settings):
    """Augmentation of frames.

    `random_frame` takes any of the segment's frames instead of the middle one. A crop of `crop_scale` (least and
    greatest share of the area) is scaled to the network's size and mirrored with probability `flip`; RandAugment (Cubuk
    et al. 2020) then applies two operations of magnitude `rand_augment` of 30; 0 disables it.
    """

    random_frame: bool = True
    crop_scale: tuple[Area, Area] = (0.35, 1.0)
    flip: Share = 0.5
    rand_augment: Annotated[int, Field(ge=0, le=30)] = 9


class NetworkPlan(_Settings):
    """Settings of one fine-tuning: `name` is the model's name, `backbone` is timm's name of the network.

    `image_size` (height, width) in pixels is that of the network's images; with None, log-mels are not resized and
    frames have the network's own size.

    An epoch is a permutation of the training segments. A step takes `batch` of them, in micro-batches of `micro_batch`:
    gradients are added up over these, batch norms use one at a time. An incomplete micro-batch at the end of an epoch
    is left out.

    AdamW (Loshchilov & Hutter 2019) at `learning_rate`, `head_factor` times as much for the classifier; it rises
    linearly over `warm_up` epochs and falls to 0 by a cosine. The weights that are kept are exponential moving averages
    of decay `ema_decay` (less in the first steps).

    `mixup` is the alpha of mixup (Zhang et al. 2018), 0 for none. Partners and shares depend on `seed`, the step and
    the micro-batch alone: two plans, one for audio and one for frames, that agree in seed, batch sizes and training
    segments mix the same segments in the same shares, which is joint audio-visual mixup.

    `linear_probe` (key `probe` in files) is for few data, on an EfficientNet-Lite: the classifier takes the output of
    several blocks (BlockNetwork) and begins as a linear probe, batch norms keep their ImageNet statistics, log-mels are
    in decibels below full scale; the weights that are kept are the mean of the weights at the beginning and the moving
    averages, and the temperature is fitted on the validation rows.
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
    # Files keep the keys that the fields had first.
    audio: AudioAugmentation = Field(default=AudioAugmentation(), alias="sound")
    frames: FrameAugmentation = Field(default=FrameAugmentation(), alias="picture")
    linear_probe: bool = Field(default=False, alias="probe")
    seed: Amount = 0

    @model_validator(mode="after")
    def _fits(self) -> "NetworkPlan":
        if self.batch % self.micro_batch:
            raise ValueError(f"batch {self.batch} is not a multiple of micro_batch {self.micro_batch}")
        if self.input == "video" and self.image_size is not None and self.image_size[0] != self.image_size[1]:
            raise ValueError(f"image_size {self.image_size} is not square, as frames are")
        return self
