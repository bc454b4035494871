"""What runs until it is told to stop: a module a process, which puts that one together and imports no more."""
