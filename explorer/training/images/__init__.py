"""Read images: from files to batches, by source, decoding, split and augmentation."""
