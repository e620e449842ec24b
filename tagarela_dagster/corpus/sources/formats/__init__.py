"""Native formats of ``files`` sources, one module each: an open entry in, documents out."""
