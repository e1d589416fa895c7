"""Ground cells, assignment, proof of disjointness, statistics of the train split."""
