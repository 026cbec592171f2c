/** The few drawings of the page; words beside them say the same. */

const PATHS = {
  back: "M10 3 5 8l5 5",
  check: "M3 8.5 6.5 12 13 4.5",
  edit: "M3 13l.7-2.8L11 2.9l2.1 2.1-7.3 7.3L3 13Z",
  reply: "M6.5 4 3 7.5 6.5 11M3 7.5h6a4 4 0 0 1 4 4V12",
  close: "M4 4l8 8M12 4l-8 8",
  search: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10ZM14 14l-3.4-3.4",
  link: "M6.5 9.5 9.5 6.5M7 4.5 8.5 3a3 3 0 0 1 4.3 4.3L11.3 8.8M9 11.5 7.5 13a3 3 0 0 1-4.3-4.3l1.5-1.5",
  terminal: "M3 4.5 6.5 8 3 11.5M8.5 11.5H13",
  filter: "M2.5 4h11M4.5 8h7M6.5 12h3",
  more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  clock: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM8 5v3l2 1.5",
  play: "M5 3.5v9l7-4.5-7-4.5Z",
};

/** @param {{ name: keyof typeof PATHS }} props */
export function Icon({ name }) {
  return (
    <svg class={`icon icon-${name}`} viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}

const BARS = { low: 1, normal: 2, high: 3, urgent: 4 };

/** How urgent, as bars; urgent as a mark of its own. @param {{ priority: import("../types.d.ts").Request["priority"] }} props */
export function Priority({ priority }) {
  const label = `${priority} priority`;
  if (priority === "urgent") {
    return (
      <svg class="priority urgent" viewBox="0 0 16 16" role="img" aria-label={label}>
        <rect x="1" y="1" width="14" height="14" rx="4" />
        <path d="M8 4v5M8 11.6v.4" />
      </svg>
    );
  }
  return (
    <svg class="priority" viewBox="0 0 16 16" role="img" aria-label={label}>
      {[1, 2, 3].map((bar) => (
        <rect key={bar} class={bar <= BARS[priority] ? "on" : ""} x={bar * 4 - 2} y={13 - bar * 3} width="3" height={bar * 3} rx="1" />
      ))}
    </svg>
  );
}
