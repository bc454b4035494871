"""One block: whom its logs touched, what is read of them, and what that adds to the store."""
