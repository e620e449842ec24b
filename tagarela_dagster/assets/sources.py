"""Source assets: one for each source of the recipe, partitioned by snapshot.

Materializing a snapshot pins its raw files by size and hash. Bringing new snapshots into a
source's folder from the network is the acquire step's work, in front of this one.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from tagarela_dagster.assets.partitions import snapshots_of
from tagarela_dagster.assets.step import materialize
from tagarela_dagster.provenance.lake import PartitionWriter
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.resources.inputs import offered_files
from tagarela_dagster.resources.road import Road

READER_SENTENCE = {
    "oscar": "OSCAR web crawl (jsonl.zst), with its quality warnings.",
    "arquivo_pt": "Portuguese web archive: ARC and WARC records, HTML to text by trafilatura.",
    "wikipedia": "Wikipedia dump: multistream bz2, wikitext to text, no redirects.",
    "opensubtitles": "OPUS OpenSubtitles zips, one document a film.",
    "srt": "Subtitle files (SRT), one document a file.",
    "europarl": "European Parliament debates, one document a chapter.",
    "parlamint": "ParlaMint TEI: parliamentary sittings with their speakers.",
    "camara": "Speeches of the Câmara dos Deputados, as its open-data API gives them.",
    "senado": "Speeches of the Senado Federal, as its open-data API gives them.",
    "speeches": "Parliamentary speeches as CSV.",
    "files": "Files in folders or archives, in any of the known formats.",
    "hub": "Data set read through the datasets library.",
}
KINDS = {
    "wikipedia": "xml",
    "parlamint": "xml",
    "oscar": "json",
    "camara": "json",
    "senado": "json",
    "speeches": "csv",
    "hub": "huggingface",
}


def build_sources(road: Road) -> list[dg.AssetsDefinition]:
    """One asset for each source of the recipe."""
    return [_source_asset(road, name) for name in road.recipe.sources]


def _source_asset(road: Road, name: str) -> dg.AssetsDefinition:
    source = road.recipe.sources[name]

    @dg.asset(
        name=name,
        group_name="sources",
        partitions_def=snapshots_of(name),
        code_version=road.version(name),
        kinds={KINDS.get(source.reader, "file")},
        owners=["team:corpus"],
        tags={"reader": source.reader, "license": source.license.replace(" ", "_")},
        description=f"{READER_SENTENCE[source.reader]}\n\nLicence of records that carry none of "
        f"their own: {source.license}. Each partition is one snapshot, pinned by hash.",
    )
    def source_asset(
        context: dg.AssetExecutionContext, road: dg.ResourceParam[Road]
    ) -> dg.MaterializeResult:
        from tagarela_dagster.corpus.sources.pin import pin_snapshot

        def pin(out: PartitionWriter) -> Manifest:
            return pin_snapshot(out, offered_files(road, out.partition or ""), source.license)

        return materialize(context, road, name, pin, _describe)

    return source_asset


def _describe(road: Road, manifest: Manifest) -> Mapping[str, Any]:
    rows = [
        dg.TableRecord({"file": file.name[-60:], "MB": round(file.bytes / 1e6, 3)})
        for file in road.files.get(manifest.partition or "", [])[:20]
    ]
    return {
        "files": manifest.counts["files"],
        "megabytes": round(manifest.counts["bytes"] / 1e6, 3),
        "license": manifest.counts["license"],
        **({"first_files": dg.MetadataValue.table(rows)} if rows else {}),
    }
