"""Pictures in: decoding, and the letterbox with its inverse. Pure: arrays in, arrays out."""
