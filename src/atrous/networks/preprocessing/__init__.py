"""What is done to an image or a volume before a network sees it."""
