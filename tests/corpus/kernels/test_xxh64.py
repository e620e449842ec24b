from __future__ import annotations

import numpy as np
import pyarrow as pa
from xxhash import xxh64_intdigest

from tagarela_dagster.corpus.dedup.signatures import keys_of_urls
from tagarela_dagster.corpus.kernels.xxh64 import PADDING, xxh64_slices


def test_every_length_is_hashed_as_the_xxhash_package_does() -> None:
    data = np.random.default_rng(7).integers(0, 256, 1_000, np.uint8)
    lengths = np.arange(0, 400)
    starts = lengths % 13
    padded = np.concatenate([data, np.full(PADDING, 0xFF, np.uint8)])
    expected = [
        xxh64_intdigest(data[start : start + length].tobytes())
        for start, length in zip(starts, lengths, strict=True)
    ]
    assert xxh64_slices(padded, starts, starts + lengths).tolist() == expected


def test_a_page_has_one_key_however_its_url_is_written() -> None:
    urls = {
        "http://www.Exemplo.PT:80/Notícias/#topo": "exemplo.pt/Notícias",
        "https://exemplo.pt:443/Notícias": "exemplo.pt/Notícias",
        "exemplo.pt/Notícias//": "exemplo.pt/Notícias",
        "HTTPS://WWW.EXEMPLO.PT": "exemplo.pt",
        "https://exemplo.pt:80/": "exemplo.pt:80",
        "http://exemplo.pt?pagina=/#fim": "exemplo.pt?pagina=/",
        "http://[::1]:80/": "[::1]",
        "www.": "www.",
        "http://": "",
        "mailto:ze@exemplo.pt": "mailto:ze@exemplo.pt",
    }
    found = keys_of_urls(pa.array([*urls, "", None]))
    assert found.to_pylist() == [*map(xxh64_intdigest, urls.values()), None, None]
