"""Files: named arrays and JSON, written atomically and read without trust."""
