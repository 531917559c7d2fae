"""What happens between the steps of a training, one thing a file."""
