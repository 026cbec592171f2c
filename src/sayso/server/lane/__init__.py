"""The fast lane: streams and polls without ASGI, for thousands of followers. What it does not know at first sight, it
hands to uvicorn, as it came; see docs/decisions/0027."""
