"""Writers of the sources' native formats, one module each.

Each has ``write(path, items, context)``: write one native file deterministically (no clock, no
random identifiers) and return the native id of each item by its label, None for a record that
gives no document.
"""
