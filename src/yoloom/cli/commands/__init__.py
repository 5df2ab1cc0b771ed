"""The commands: each module has `run(arguments)`."""
