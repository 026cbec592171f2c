"""The server: HTTP, Server-Sent Events, WebSocket and long polling over one gateway."""
