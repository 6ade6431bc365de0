"""Classify many recordings: on this machine or by others, from a list or as they come, with a journal or without."""
