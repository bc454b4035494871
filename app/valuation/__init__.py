"""What stored state means: exact risk of accounts and wallets. Pure; time is an argument."""
