"""Train named systems: from a data set or a segment store to checkpoints and reproductions of the paper."""
