.DEFAULT_GOAL := help
PY := .venv/bin/python

help: ## show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "%-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
