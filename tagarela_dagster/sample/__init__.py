"""The bundled sample corpus: some 200 documents in the sources' native formats.

``prose/`` holds the texts so that people can read them, ``plan.yaml`` says which file each one
goes into and what the pipeline must do with it, ``formats`` writes the native files, and
``expected.json`` is the plan in the pipeline's own terms (native ids, stages, reasons). All texts
were written for this project (CC0-1.0); names, places and numbers in them are invented.

``python -m tagarela_dagster.sample.build`` builds the files again.
"""
