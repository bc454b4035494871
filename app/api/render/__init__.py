"""From values to answers: every integer becomes an exact decimal string, here and nowhere else."""
