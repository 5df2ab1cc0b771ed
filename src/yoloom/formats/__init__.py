"""Model files → `Model`. Pure: a file is data, nothing in it is executed."""
