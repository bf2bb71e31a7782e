"""Archive files to products: sources, harmonising, pre-flight, rechunking, kerchunk references."""
