"""`explorer doctor`: reads a study's folder, reports what is there and what is wrong, and repairs what can be."""
