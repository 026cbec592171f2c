/** Agents ask, people answer: the client of a sayso server. What the members mean: docs/protocol.md of the server. */

export type Kind = "review" | "approval" | "gate" | "question" | "choice" | "form";
export type Status = "pending" | "answered" | "expired" | "cancelled";
export type Decision = "approve" | "edit" | "respond" | "reject";
export type Priority = "low" | "normal" | "high" | "urgent";
export type OnTimeout = "reject" | "approve" | "default" | "cancel";
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
export type JsonObject = { [name: string]: Json };

export interface Option {
  id: string;
  label: string;
  description: string;
  style: "default" | "primary" | "danger";
}

/** A call that the agent wants to make; `digest` is the SHA-256 (hex) of the RFC 8785 form of its name and arguments. */
export interface Action {
  name: string;
  args: JsonObject;
  args_schema: JsonObject | null;
  digest: string;
}

export interface Source {
  name: string;
  native: JsonObject;
}

/** What an asker says; two members are enough. `timeout`: seconds, in place of `deadline` (ISO 8601). */
export interface Question {
  execution_id: string;
  prompt: string;
  request_id?: string;
  crew_id?: string;
  task_id?: string;
  agent_id?: string;
  kind?: Kind;
  title?: string;
  context?: string;
  context_data?: JsonObject;
  action?: Pick<Action, "name"> & Partial<Action>;
  allow?: Decision[];
  options?: (Pick<Option, "id"> & Partial<Option>)[];
  response_schema?: JsonObject;
  deadline?: string;
  timeout?: number;
  on_timeout?: OnTimeout;
  default?: string | JsonObject;
  priority?: Priority;
  assignees?: string[];
  reason_flags?: Record<string, boolean>;
  source?: Partial<Source>;
  metadata?: JsonObject;
  round?: number;
  previous?: string;
}

/** What a person sends back; `human_feedback` alone is enough, and the request's kind says what it means. */
export interface Submission {
  answer_id?: string;
  decision?: Decision;
  human_feedback?: string;
  text?: string;
  option_ids?: string[];
  values?: Json;
  edited?: Json;
  comment?: string;
  /** The digest of the action that was seen; refused where it is not the request's. */
  action_digest?: string;
}

export interface Answer {
  answer_id: string;
  decision: Decision;
  text: string | null;
  option_ids: string[];
  values: Json;
  edited: Json;
  comment: string;
}

/** What a request and the event of its asking have in common. */
export interface Asked {
  execution_id: string;
  crew_id: string;
  task_id: string;
  agent_id: string;
  request_id: string;
  kind: Kind;
  title: string;
  prompt: string;
  context: string;
  context_data: JsonObject | null;
  action: Action | null;
  allow: Decision[];
  options: Option[];
  response_schema: JsonObject | null;
  deadline: string | null;
  on_timeout: OnTimeout;
  default: string | JsonObject | null;
  priority: Priority;
  assignees: string[];
  reason_flags: Record<string, boolean>;
  source: Source;
  metadata: JsonObject;
  round: number;
  previous: string | null;
}

/** One thing asked of a person. Its status changes once, from `pending` to one of the others. */
export interface Request extends Asked {
  status: Status;
  created_at: string;
  asked_by: string;
  asked_channel?: string;
  durable: boolean;
  digest: string;
  asked_event_id: string;
  answer: Answer | null;
  reason: string;
  settled_at: string | null;
  settled_by: string | null;
  settled_channel: string | null;
  settled_event_id: string | null;
}

/** Something was asked. */
export interface HumanInputRequired extends Asked {
  type: "human_input_required";
  event_id: string;
  seq: number;
  timestamp: string;
}

/** A request was settled: answered, expired or cancelled. */
export interface HumanInputCompleted {
  type: "human_input_completed";
  execution_id: string;
  crew_id: string;
  task_id: string;
  agent_id: string;
  request_id: string;
  event_id: string;
  seq: number;
  timestamp: string;
  human_feedback: string;
  status: Exclude<Status, "pending">;
  decision: Decision | null;
  option_ids: string[];
  values: Json;
  edited: Json;
  comment: string;
  reason: string;
  by: string;
  channel: string;
}

/** The cursor meant nothing to the server: forget what you have, show `requests`; `more`: `list` has further ones. */
export interface Reset {
  type: "reset";
  reason: "unknown-cursor" | "foreign-cursor";
  event_id: string | null;
  requests: Request[];
  more: boolean;
}

export type Message = HumanInputRequired | HumanInputCompleted | Reset;

/**
 * `url`: where the server is, as `https://host/prefix`; in a browser it may be relative to the page, and is the page's
 * own origin when left out. `fetch`: another one than the platform's.
 */
export interface SaysoOptions {
  url?: string;
  apiKey?: string | undefined;
  fetch?: typeof fetch;
}

export interface CallOptions {
  signal?: AbortSignal | undefined;
}

/**
 * `limit`: requests fetched at a time, 1 to 1000. `order`: as they were asked (the default), or the newest first.
 * `q`: only those in whose title, prompt, execution or agent this text stands, whatever its case.
 */
export interface ListOptions extends CallOptions {
  order?: "asked" | "newest" | undefined;
  q?: string | undefined;
  status?: Status | Status[];
  executionId?: string;
  limit?: number;
}

/**
 * `executionId`: of one run; without it, of all. `after`: a cursor that was kept. `signal` ends the iterator. `onState`
 * hears when the server is heard ("open") and when it no longer is ("broken"); it begins unheard, and heals by itself.
 */
export interface FollowOptions extends CallOptions {
  onState?: (state: "open" | "broken") => void;
  executionId?: string | undefined;
  after?: string | null | undefined;
}

/** Every method but `list` and `follow` rejects with a SaysoError, or with the reason of the `signal` that ended it. */
export class Sayso {
  /** Throws a TypeError for an address or a key that can be none. */
  constructor(options?: SaysoOptions);

  /** The stored request. It is asked once even if replies get lost and it is sent again. */
  ask(question: Question, options?: CallOptions): Promise<Request>;

  /** The request as it is; with `wait` (seconds, at most 55), as it is once it is settled or the time is up. */
  get(id: string, options?: CallOptions & { wait?: number }): Promise<Request>;

  /** The request once it is settled, however long that takes and whatever breaks; an error only if that will not pass. */
  settled(id: string, options?: CallOptions): Promise<Request>;

  /** Requests in asking order, fetched page by page as they are taken. */
  list(options?: ListOptions): Listing;

  /**
   * The settled request. Counted once even if replies get lost and it is sent again. Rejects with AlreadySettled, which
   * has the answer that won, or Invalid, and then the request stays open.
   */
  answer(id: string, submission: Submission, options?: CallOptions): Promise<Request>;

  /** The request, given up. Sent once: after a lost reply (Unavailable), `get` tells what became of it. */
  cancel(id: string, reason?: string, options?: CallOptions): Promise<Request>;

  /**
   * Every event once, in order, from the first retained one of the execution, from what is open in all of them, or from
   * `after`; then as they come, for ever. Connects anew whatever breaks; throws what will not pass (a wrong key, say).
   */
  follow(options?: FollowOptions): Follower;
}

export interface Listing extends AsyncIterableIterator<Request> {
  /** Known with the first request: whoever follows from here, with the same `executionId`, misses nothing. */
  readonly cursor: string | null | undefined;
}

export interface Follower extends AsyncIterableIterator<Message> {
  /** Where it is: pass it as `after` to go on from the message given last. null: nothing was ever asked. */
  readonly cursor: string | null | undefined;
  /** Ends it, also while it waits for a message. */
  return(): Promise<IteratorResult<Message, undefined>>;
}

export interface Fault {
  /** A JSON Pointer (RFC 6901). */
  pointer: string;
  detail: string;
}

export interface ErrorMembers {
  code?: string;
  status?: number;
  retry?: boolean;
  retryAfter?: number;
  cause?: unknown;
  errors?: Fault[];
  request?: Request;
}

export class SaysoError extends Error {
  constructor(detail: string, members?: ErrorMembers);
  /** What went wrong, for programs: the last part of the problem's type; `misconfigured`: no sayso server is there. */
  readonly code: string;
  /** Of HTTP; 0 without a reply. */
  readonly status: number;
  /** The same for people. */
  readonly detail: string;
  /** Whether the same call may work later. */
  readonly retry: boolean;
  /** Milliseconds before which the server does not want that call. */
  readonly retryAfter: number;
}

/** The question or the answer is not as it must be; nothing was stored. */
export class Invalid extends SaysoError {
  readonly errors: Fault[];
}

/** Someone was first. */
export class AlreadySettled extends SaysoError {
  constructor(detail: string, members: ErrorMembers);
  /** As it was settled, by whom and how. */
  readonly request: Request;
}

/** The request_id is already taken by another question. */
export class RequestMismatch extends SaysoError {}
/** There is no such request, or no server at this address. */
export class NotFound extends SaysoError {}
/** The key is missing or wrong. */
export class Unauthorised extends SaysoError {}
/** The server does not let this page or this key in. */
export class Forbidden extends SaysoError {}
/** No reply, or the server cannot at the moment. */
export class Unavailable extends SaysoError {}
