"""Correct the timestamps of packets, and select those that must be decoded."""
