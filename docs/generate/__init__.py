"""What makes the site: pages that are written from the code, the doors that lead to them, and the Sphinx extension."""
