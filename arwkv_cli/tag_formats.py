"""The formats of ``arwkv tag``."""

from arwkv_cli.run_output import PlainFormat
from arwkv_core.writers import BINARY_TAG_FORMATS, TAG_WRITERS

TAG_FORMATS = {
    name: PlainFormat(f".{name}", writer, binary=name in BINARY_TAG_FORMATS)
    for name, writer in TAG_WRITERS.items()
}
"""By name, which is the ending of their files too; besides them there is the table."""
