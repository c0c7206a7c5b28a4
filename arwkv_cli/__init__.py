"""The command line: one file a command, each of which reads its options, calls ``arwkv_core`` and prints."""
