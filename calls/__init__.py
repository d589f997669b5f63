"""What things mean: calls, conferences, who may do what to them, and what is told to the application."""
