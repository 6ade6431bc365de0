"""Read, download, verify, generate and decode data sets: directories become labelled recordings or segment stores."""
