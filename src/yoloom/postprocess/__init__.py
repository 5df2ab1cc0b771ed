"""Raw outputs → detections, one file per task. Pure: arrays in, arrays out, no clock."""
