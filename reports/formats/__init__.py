"""How a report looks: on a terminal, in Markdown, in HTML, and as pictures."""
