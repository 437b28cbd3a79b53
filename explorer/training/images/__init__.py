"""From image files to batches: sources, decoding, splits, augmentation."""
