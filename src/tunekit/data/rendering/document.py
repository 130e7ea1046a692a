"""One self-contained HTML document. Knows what a browser may do with it; not what is in it."""

from __future__ import annotations

from html import escape

# Should an escape ever be missed, nothing runs, nothing is fetched and nothing is sent.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def document(*, title: str, style: str, body: str) -> str:
    """A page without script that loads nothing.

    Args:
        title: As plain text.
        style: CSS of our own; nothing from data may be in it.
        body: HTML in which everything from data is escaped.

    Examples:
        >>> print(document(title="a < b", style="p { margin: 0 }", body="<p>Hello</p>"))  # doctest: +ELLIPSIS
        <!doctype html>
        <html lang="en">
        ...
        <title>a &lt; b</title>
        <style>p { margin: 0 }</style>
        </head>
        <body>
        <p>Hello</p>
        </body>
        </html>
        <BLANKLINE>
    """
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )
