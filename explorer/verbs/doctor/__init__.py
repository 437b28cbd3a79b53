"""`do=doctor`: reads a study's folder, reports what is there and what is wrong with it, and repairs what can be."""
