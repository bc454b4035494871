"""The writer: follows one chain and commits what each block changed."""
