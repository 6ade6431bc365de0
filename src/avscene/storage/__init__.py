"""Read recordings from object storage and write results to it: S3, Google Cloud, Azure and web servers."""
