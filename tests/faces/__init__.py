"""The faces: what a user of the command line sees, end to end."""
