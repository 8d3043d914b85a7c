"""The stack in containers: an engine where there is none, images, a trial, and its checks."""
