"""The page on which a person lets the app in, or declines."""

from __future__ import annotations

from html import escape

from bot.sandbox.slack.world import Person, Workspace

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}


def page(asked: dict[str, str], people: list[tuple[Workspace, Person]], problem: str = "") -> str:
    """`asked`: the query that brought the browser here. With `problem` the page says only that."""
    body = f'<p class="wrong">Slack refuses this link: {escape(problem)}</p>' if problem else _form(asked, people)
    return f"""<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>Slack sandbox: let the app in?</title>
  <link rel="stylesheet" href="/static/face.css">
</head>
<body class="consent">
  <main>
    <h1>Slack <span>sandbox</span></h1>
    {body}
  </main>
</body>
</html>
"""


def _form(asked: dict[str, str], people: list[tuple[Workspace, Person]]) -> str:
    scopes = "".join(f"<li>{escape(scope)}</li>" for scope in asked.get("scope", "").replace(",", " ").split())
    options = "".join(
        f'<option value="{escape(person.id)}">{escape(person.real_name)} ({escape(world.team.name)})</option>'
        for world, person in people
    )
    return f"""<p>Assent asks for:</p>
    <ul>{scopes}</ul>
    <form method="post">
      <label>You are <select name="user">{options}</select></label>
      <footer>
        <button name="agree" value="0">Decline</button>
        <button class="primary" name="agree" value="1">Allow</button>
      </footer>
    </form>"""
