"""Pages for people: HTML from Jinja2 templates, one visual family, no script, nothing loaded from elsewhere."""
