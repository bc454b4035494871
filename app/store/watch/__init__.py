"""What people set up and what is told to them: watchlists, episodes, messages, keys."""
