"""Where rooms are joined: each module does what one command does, end to end."""
