"""What every route stands on: who asks and how much, as of which block, and how an answer or an error leaves."""
