"""Detect recordings whose audio and video were recorded in different places, from the probabilities of two models."""
