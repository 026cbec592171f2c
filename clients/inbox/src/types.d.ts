/** What the modules of the inbox hand to each other. */

import type { Asked, HumanInputCompleted, HumanInputRequired, Request, Submission } from "../../js/index.d.ts";

export type { Decision, HumanInputCompleted, HumanInputRequired, Json, JsonObject, Kind, Message, Option, Request, Status, Submission } from "../../js/index.d.ts";

/** Answers that are still here, to be taken back; sent when `until` (ms) has come. */
export interface Held {
  id: string;
  requests: readonly Request[];
  submission: Submission;
  until: number;
}

/** Something to tell the person. `stays`: until it is put away; `heldId`: it offers to take that answer back. */
export interface Note {
  id: string;
  tone: "plain" | "good" | "bad";
  title: string;
  detail?: string;
  until: number | null;
  heldId?: string;
  requestId?: string;
}

export type Link = "connecting" | "open" | "broken";
export type View = "waiting" | "history";
export type Mode = "edit" | "respond" | "reject";
export type Order = "urgent" | "oldest" | "newest";

/** What someone has begun to write to a request. */
export interface Draft {
  mode: Mode | null;
  edited?: string;
  text?: string;
  reason?: string;
  option?: string;
  fields?: Fields;
  faults?: readonly Fault[];
}

export type Fields = Readonly<Record<string, string | boolean | readonly string[]>>;
export interface Fault {
  pointer: string;
  detail: string;
}

export interface History {
  requests: readonly Request[];
  state: "idle" | "loading" | "whole" | "failed";
}

export interface State {
  session: "checking" | "needed" | "open";
  sessionFault: string;
  needsKey: boolean;
  by: string;
  link: Link;
  isLoaded: boolean;
  requests: ReadonlyMap<string, Request>;
  missing: ReadonlySet<string>;
  history: History;
  view: View;
  query: string;
  order: Order;
  selectedId: string | null;
  isReading: boolean;
  picked: ReadonlySet<string>;
  held: readonly Held[];
  notes: readonly Note[];
  drafts: ReadonlyMap<string, Draft>;
  overlay: "help" | "menu" | "filters" | null;
  hasKeys: boolean;
  notifies: boolean;
  /** The server tells this device, also while no page is open. */
  pushes: boolean;
  /** What the server cannot tell others, a line for each. */
  troubles: readonly string[];
  now: number;
}
