/** Requests for tests: whole, small, and different where that matters. */

let count = 0;

/** @param {object} [members] */
export function request(members = {}) {
  count += 1;
  return {
    request_id: `r-${String(count).padStart(4, "0")}`,
    execution_id: "run-1",
    kind: "question",
    title: "Ship it?",
    prompt: "Ship it?",
    context: "",
    context_data: null,
    action: null,
    allow: ["respond"],
    options: [],
    response_schema: null,
    deadline: null,
    on_timeout: "reject",
    default: null,
    priority: "normal",
    assignees: [],
    reason_flags: {},
    source: { name: "http", native: {} },
    metadata: {},
    round: 1,
    previous: null,
    status: "pending",
    created_at: "2030-01-31T12:00:00Z",
    answer: null,
    reason: "",
    settled_at: null,
    settled_by: null,
    settled_channel: null,
    ...members,
  };
}

export const review = (members = {}) => request({ kind: "review", allow: ["approve", "edit", "respond", "reject"], context: "A draft.", ...members });
