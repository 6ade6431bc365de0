"""Decoders of a GPU, where PyAV was built with them and there is such a device."""

import av
from av.codec.hwaccel import HWAccel, hwdevices_available

from avscene.errors import UsageError
from avscene.media.container import reason

CPU = "cpu"
_EVERYWHERE = "h264"  # what every device with a decoder decodes


def check_decoder(decoder: str) -> None:
    """Make sure that `decoder` can be used: CPU, or a device by ffmpeg's name, such as cuda.

    Raises:
        UsageError: PyAV was not built for such a device, or there is none here.
    """
    if decoder == CPU:
        return
    if decoder not in (known := _devices()):
        raise UsageError(f"decoder {decoder!r} is not one of {', '.join([CPU, *known])}")
    try:
        HWAccel(decoder).create(av.Codec(_EVERYWHERE, "r"))
    except (av.FFmpegError, OSError) as error:
        raise UsageError(
            f"decoder {decoder}: no such device can be opened here ({reason(error)}); use --decoder {CPU}"
        ) from None


def acceleration(decoder: str) -> HWAccel | None:
    """What PyAV opens a file with; a stream that the device does not decode goes to the processor."""
    return None if decoder == CPU else HWAccel(decoder, allow_software_fallback=True)


def is_of_device(pixel_format: str) -> bool:
    """Whether an image in this format came from a device.

    Devices interleave the two planes of colour (nv12, p010le) where the processor's decoders keep them apart. Without
    subsampling of colour nothing tells the two from each other.
    """
    return pixel_format.startswith(("nv", "p0", "p2", "p4")) or "444" in pixel_format


def _devices() -> list[str]:
    configs = av.Codec(_EVERYWHERE, "r").hardware_configs
    supported = {config.device_type.name for config in configs if config.is_supported}
    return [name for name in hwdevices_available() if name in supported]
