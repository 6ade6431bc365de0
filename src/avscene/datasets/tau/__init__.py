"""TAU Urban Audio-Visual Scenes 2021: download and verify the published archives, and read their layout."""
