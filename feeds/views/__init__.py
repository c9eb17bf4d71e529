"""The pages that people use. Each view is a form or a read, a command, and a redirect."""
