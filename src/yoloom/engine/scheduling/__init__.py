"""The rule of the queue: pure, without thread and clock."""
