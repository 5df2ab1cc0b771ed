"""The transport between a parent and one worker process: messages, shared memory and signs of life."""
