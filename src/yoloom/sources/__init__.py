"""Sources of images → single images: files, folders, patterns, lists."""
