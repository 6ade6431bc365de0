"""Segment stores: turn a data set into a directory of decoded segments that training reads at random."""
