"""What is done between blocks: old logs, wallets asked for, audits, dropping old history."""
