"""Pictures in: header, decoding, and the letterbox with its inverse. Pure: arrays in, arrays out."""
