"""Writers of the sources' native formats, one module each.

Each has ``write(path, items, context)``: write one native file deterministically (no clock, no
random identifiers) and return the native id of each item by its label (unused where
a record gives no document).
"""
