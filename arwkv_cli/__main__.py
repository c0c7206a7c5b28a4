"""``python -m arwkv_cli`` does what ``arwkv`` does."""

from arwkv_cli.app import main

main()
