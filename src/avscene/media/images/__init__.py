"""Read still images and animated WebP with Pillow, which a worker process imports when it opens the first of them."""
