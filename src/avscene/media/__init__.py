"""Bytes to segments: the only package that touches the decoder."""
