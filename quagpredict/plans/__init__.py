"""What is read from YAML: plans, recipes and their keys; every error names the file, the key and the nearest one."""
