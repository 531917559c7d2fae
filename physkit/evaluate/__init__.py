"""How a number is made: protocols, metrics, reports."""
