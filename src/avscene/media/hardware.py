"""Check and open the hardware decoders of a GPU, where PyAV supports them and such a device is present."""

from typing import TYPE_CHECKING

from avscene.errors import UsageError
from avscene.media.sampling import CPU

if TYPE_CHECKING:
    from av.codec.hwaccel import HWAccel

_PROBE_CODEC = "h264"  # every device that decodes video decodes it


def check_decoder(decoder: str) -> None:
    """Check that `decoder` can be used: CPU, or a device by ffmpeg's name, such as cuda.

    Raises:
        UsageError: PyAV was not built for this device, or none is present.
    """
    if decoder == CPU:
        return
    import av  # only processes that decode load PyAV
    from av.codec.hwaccel import HWAccel

    from avscene.media.container import error_reason

    if decoder not in (supported := _supported_devices()):
        raise UsageError(f"decoder {decoder!r} is not one of {', '.join([CPU, *supported])}")
    try:
        HWAccel(decoder).create(av.Codec(_PROBE_CODEC, "r"))
    except (av.FFmpegError, OSError) as error:
        raise UsageError(
            f"decoder {decoder}: no such device can be opened here ({error_reason(error)}); try: --decoder {CPU}"
        ) from None


def hardware_acceleration(decoder: str) -> "HWAccel | None":
    """Return PyAV's option for opening a file; streams that the device cannot decode are decoded on the CPU."""
    if decoder == CPU:
        return None
    from av.codec.hwaccel import HWAccel

    return HWAccel(decoder, allow_software_fallback=True)


def is_device_format(pixel_format: str) -> bool:
    """Whether a frame in `pixel_format` was decoded by a device.

    Devices interleave the two chroma planes (nv12, p010le); decoders on the CPU keep them apart. Formats without
    chroma subsampling (444) are the same on both and count as the device's.
    """
    return pixel_format.startswith(("nv", "p0", "p2", "p4")) or "444" in pixel_format


def _supported_devices() -> list[str]:
    import av
    from av.codec.hwaccel import hwdevices_available

    configs = av.Codec(_PROBE_CODEC, "r").hardware_configs
    supported = {config.device_type.name for config in configs if config.is_supported}
    return [name for name in hwdevices_available() if name in supported]
