"""Native formats of files that anybody may have: one small module a format.

Each has ``read(part)``, which yields the documents of one file (or archive member) and the
rejections of its records, and raises ``FormatError`` when the file as a whole cannot be read.
"""
