"""Decode media files into segments and encode arrays into media files; the only package that imports PyAV."""
