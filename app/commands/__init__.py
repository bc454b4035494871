"""What the `waterline` command does beyond following and serving: a module for what is typed, one for what is done."""
