"""Takes the pictures of docs/cli.md: real commands, typed into a real terminal (tmux), against a real server.

`scripts/pictures cli` runs it; ids and times differ each time, nothing else does.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.text import Text
from tests.notify.receiver import SECRET, configuration, receiving
from tests.postgres import Cluster

COLUMNS, ROWS = 90, 30
LATEST = 60.0
"""Seconds that a screen may take to show what it should."""
HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
TMUX = ("tmux", "-L", f"sayso-pictures-{os.getpid()}", "-f", os.devnull)
"""A server of its own, which reads nobody's settings."""
QUIET = ("OTEL_SDK_DISABLED=true", *(f"CREWAI_{name}" for name in ("DISABLE_TELEMETRY=true", "TRACING_ENABLED=false")))
"""crewAI calls home, and asks whether it may, unless it is told not to."""
FLOW = '''"""As docs/crewai.md has it."""
from crewai.flow.flow import Flow, listen, start
from crewai.flow.human_feedback import human_feedback
from sayso import connect
from sayso.adapters.crewai import Pause, install

class Article(Flow):
    suppress_flow_events: bool = True

    @start()
    @human_feedback(message="Is it good?", provider=Pause())
    def write(self):
        return "A haiku about ferries."

    @listen(write)
    def publish(self, review):
        return f"published, with {review.feedback!r}"

if __name__ == "__main__":
    install(connect())
    Article().kickoff()
'''
SHELL = ("bash", "--norc", "--noprofile")
SVG = """<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font: {char_height}px/{line_height}px ui-monospace, SFMono-Regular, Menlo, Consolas, \
"DejaVu Sans Mono", monospace; }}
.{unique_id}-title {{ font: bold 18px sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""A terminal as rich draws it, with the fonts of whoever looks: nothing is fetched from elsewhere."""


class Terminal:
    """A shell in a terminal, and the fingers of a person."""

    def __init__(self, name: str, home: str, *settings: str, rows: int = ROWS) -> None:
        self._name = name
        kept = (f"HOME={home}", "LANG=C.UTF-8", f"PATH={BIN}:/usr/bin:/bin", "PS1=$ ", "TERM=tmux-256color")
        size = ("-x", str(COLUMNS), "-y", str(rows))
        tmux("new-session", "-d", "-s", name, "-c", home, *size, "env", "-i", *kept, *settings, *SHELL)
        self.until("$")

    def type(self, text: str) -> Self:
        tmux("send-keys", "-t", self._name, "-l", text)
        return self.press("Enter")

    def press(self, *keys: str) -> Self:
        tmux("send-keys", "-t", self._name, *keys)
        return self

    def run(self, command: str) -> Self:
        """Types it and waits until the shell asks for the next one."""
        asked = self._prompts()
        self.type(command)
        return self._wait(lambda: self._prompts() > asked, f"the end of {command!r}")

    def until(self, text: str) -> Self:
        return self._wait(lambda: text in self.screen(), repr(text))

    def _prompts(self) -> int:
        return len(re.findall(r"(?m)^\$( |$)", self.screen("-S", "-")))

    def _wait(self, holds: Callable[[], bool], what: str) -> Self:
        latest = time.monotonic() + LATEST
        while not holds():
            if time.monotonic() > latest:
                raise SystemExit(f"{self._name} does not show {what}:\n{self.screen()}")
            time.sleep(0.05)
        return self

    def screen(self, *options: str) -> str:
        return tmux("capture-pane", "-t", self._name, "-p", *options)

    def picture(self, name: str) -> None:
        """Writes cli-{name}.svg: what the screen shows, without the empty lines and the prompt at its end."""
        shown = self.screen("-e").rstrip().removesuffix("\n$")
        console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, legacy_windows=False)
        console.print(Text.from_ansi(shown), "", sep="\n", soft_wrap=True)
        drawn = console.export_svg(title="sayso", code_format=SVG, unique_id=f"cli-{name}")
        lines = [line.strip() for line in drawn.splitlines() if line.strip()]
        (HERE / f"cli-{name}.svg").write_text("\n".join(lines) + "\n", encoding="utf-8")


def tmux(*arguments: str) -> str:
    return subprocess.run([*TMUX, *arguments], capture_output=True, text=True, check=True).stdout  # noqa: S603


def main() -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        try:
            take(home)
        finally:
            subprocess.run([*TMUX, "kill-server"], check=False)  # noqa: S603


def take(home: str) -> None:
    """One demo, from its start to its end, as several people see it."""
    demo = Terminal("demo", home).type("sayso demo").until("Ctrl-C")
    settings = re.findall(r"SAYSO_\w+=\S+", demo.screen())
    Terminal("help", home, rows=44).run("sayso --help").picture("help")
    Terminal("doctor", home, *settings).run("sayso doctor").picture("doctor")
    Terminal("ill", home, settings[0], "SAYSO_APIKEY=demo").run("sayso doctor").picture("doctor-ill")

    watch = Terminal("watch", home, *settings).type("sayso watch").until("pay")
    ask = Terminal("ask", home, *settings)
    ask.type('sayso ask "Deploy?" --kind approval --priority urgent --timeout 10m --wait && echo go')
    ask.until("waiting for an answer")

    inbox = Terminal("inbox", home, *settings).run("sayso inbox")
    ids = {row.split()[-1]: row.split()[0] for row in inbox.screen().splitlines() if row.endswith("?")}
    inbox.run(f"sayso inbox {ids['pay?']}").picture("inbox")
    tab = Terminal("tab", home, *settings).run('eval "$(sayso completion bash)"').press("sayso answer ", "Tab", "Tab")
    tab.until(ids["pay?"]).picture("completion")

    answer = Terminal("answer", home, *settings).type(f"sayso answer {ids['out?']}").until("[a]pprove").type("r")
    answer.until("What should change").type("Say when the bikes come back.").until(": respond").picture("answer")
    flags = Terminal("flags", home, *settings)
    flags.run(f"sayso answer {ids['first?']} --option ebj").run(f"sayso answer {ids['Deploy?']} --approve")
    ask.until("\ngo").type('sayso ask "Where to?" --option eu=Frankfurt --option us=Ohio --wait').until("⠋")
    ask.picture("ask")

    listed = Terminal("cancel", home, *settings).run("sayso inbox --kind choice")
    row = next(row for row in listed.screen().splitlines() if "Where" in row)
    listed.run(f'sayso cancel {row.split()[0]} --reason "we stay"').run("sayso inbox --all").picture("cancel")
    link = Terminal("link", home, *settings).run(f"sayso link {ids['pay?']} --to anna@example.com --expires 2h")
    link.picture("link")
    export = Terminal("export", home, *settings).run("sayso export > everything.jsonl; wc -l everything.jsonl")
    export.run("sayso export | jq -r '[.created_at[:16], .status, .title, .answer.decision] | @tsv'")
    export.run("sayso export --status cancelled").picture("export")
    audit = Terminal("audit", home, *settings).run("sayso audit export > audit.jsonl; sayso audit verify audit.jsonl")
    audit.run("""jq -r '[.number, .change, .by, .channel, .hash[:12]] | @tsv' audit.jsonl""")
    audit.run("sayso audit verify --json > heads.jsonl; sayso audit verify --heads heads.jsonl")
    audit.run("sed s/answered/expired/ audit.jsonl | sayso audit verify -").picture("audit")
    watch.until("we stay").picture("watch")

    keys = Terminal("keys", home, *settings)
    keys.run("sayso keys create crew --scope ask --execution 'order-*' > crew.key")
    keys.run("sayso keys create ann --scope read --scope answer --expires 90d")
    keys.run("sayso keys rotate crew --overlap 2h > crew.key").run("sayso keys list").picture("keys")

    (Path(home) / "article.py").write_text(FLOW, encoding="utf-8")
    crewai = (*settings, *QUIET, f"CREWAI_STORAGE_DIR={home}")
    Terminal("flow", home, *crewai).run("python article.py")
    resume = Terminal("resume", home, *crewai).run("sayso inbox --kind review")
    id = re.findall(r"(?m)^([0-9a-f]{8}) ", resume.screen())[-1]
    resume.run(f'sayso answer {id} "lovely"').run("sayso resume --flow article:Article --once").picture("resume")

    flags.run(f'sayso answer {ids["pay?"]} --reject "not before Monday"').picture("answer-flags")
    demo.until("Monday").picture("demo")
    store(home)
    notified(home)


def notified(home: str) -> None:
    """A server that tells others, one of which is not there."""
    with receiving() as receiver:
        url = receiver.url.replace("127.0.0.1", "localhost")
        configuration(Path(home) / "notify.toml", url, "http://localhost:9/")
        names = ("SAYSO_API_KEY=secret", f"HOOK_SECRET={SECRET}")
        serve = Terminal("notified", home, *names).type("sayso serve --port 0 --store :memory: --notify notify.toml")
        serve.until("listens on")
        url = re.findall("http:.+", serve.screen())[0]
        notify = Terminal("notify", home, f"SAYSO_URL={url}", "SAYSO_API_KEY=secret")
        notify.run('sayso ask "Deploy?" --kind approval').run("sayso notify list")
        notify.run("sayso notify test hook-0").run("sayso notify test hook-1").picture("notify")
        serve.press("C-c").until("$")


def store(home: str) -> None:
    """A server of one's own, and what becomes of its store."""
    serve = Terminal("serve", home, "SAYSO_API_KEY=secret").type("sayso serve --port 0 --store sqlite:///questions.db")
    serve.until("listens on")
    asker = Terminal("asker", home, f"SAYSO_URL={re.findall('http:.+', serve.screen())[0]}", "SAYSO_API_KEY=secret")
    asker.run('sayso ask "Deploy?" --kind approval').run('sayso ask "Where to?" --option eu=Frankfurt --option us=Ohio')
    serve.press("C-c").until("$").picture("serve")
    copy = "copy.db --store sqlite:///questions.db"
    Terminal("backup", home).run(f"sayso backup {copy}").run(f"sayso backup {copy}").picture("backup")
    cluster = Cluster()
    try:
        database = cluster.database().replace(f":{cluster.password}@", "@")
        migrate = Terminal("migrate", home, f"PGPASSWORD={cluster.password}")
        migrate.run(f"sayso migrate sqlite:///questions.db {database}").picture("migrate")
    finally:
        cluster.close()


if __name__ == "__main__":
    main()
