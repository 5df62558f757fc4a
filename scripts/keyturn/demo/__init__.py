"""The whole life of an update repository on one machine: every actor is a process with a home of its own."""
