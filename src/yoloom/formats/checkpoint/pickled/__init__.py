"""Reading a checkpoint's file as data: the archive, the pickle in it, and the tree of values. Knows no network."""
