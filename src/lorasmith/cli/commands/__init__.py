"""One module a verb; `lorasmith.cli.main.VERBS` lists them."""
