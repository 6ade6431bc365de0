"""Turn decoded audio into the mono waveforms of segments."""
