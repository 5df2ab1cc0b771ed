"""What people point at → single images: files, folders, patterns, lists."""
