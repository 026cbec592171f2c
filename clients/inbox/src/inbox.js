/** What is on the page and what a person does there. Holds the state; components show it and call these methods. */

import { AlreadySettled, Sayso } from "../../js/src/index.js";
import { newId } from "../../js/src/new_id.js";
import { fieldsOf, firstMode, faultsHere, submissionOf } from "./answers.js";
import { curlOf } from "./curl.js";
import { Device, refusal } from "./device.js";
import { feed } from "./feed.js";
import { fieldOf, parsed } from "./filter.js";
import { answering, canBeHeld, due, latest, UNDO, without, withoutRequest } from "./held.js";
import { open, shown } from "./lists.js";
import { Notifier } from "./notifier.js";
import { withAsked, withListed, withOpen, withSettled } from "./requests.js";
import { hashOf } from "./route.js";
import { sample } from "./sample.js";
import { Sessions } from "./session.js";
import { Troubles } from "./troubles.js";
import { haveOneShape } from "./shape.js";
import { remembered, remember } from "./settings.js";
import { counted, endingOf, personOf, saidOf, channelOf, titleOf } from "./words.js";

/**
 * @typedef {import("./types.d.ts").State} State
 * @typedef {import("./types.d.ts").Request} Request
 * @typedef {import("./types.d.ts").Draft} Draft
 * @typedef {import("./types.d.ts").Held} Held
 * @typedef {import("./types.d.ts").Mode} Mode
 * @typedef {import("./types.d.ts").Note} Note
 */

const SETTLED = /** @type {import("./types.d.ts").Status[]} */ (["answered", "expired", "cancelled"]);
const PAGE = 1000;
const HISTORY_PAGE = 100;
const NOTE = 6000;
/** Milliseconds that a passing word is shown. */
const TICK = 1000;
const SEARCH = 250;
/** Milliseconds after the last key until the server is asked for history. */

/** @type {State} */
const BEGINNING = {
  session: "checking",
  sessionFault: "",
  needsKey: false,
  by: "",
  link: "connecting",
  isLoaded: false,
  requests: new Map(),
  missing: new Set(),
  history: { requests: [], state: "idle" },
  view: "waiting",
  query: "",
  order: "urgent",
  selectedId: null,
  isReading: false,
  picked: new Set(),
  held: [],
  notes: [],
  drafts: new Map(),
  overlay: null,
  hasKeys: true,
  notifies: false,
  pushes: false,
  troubles: [],
  now: Date.now(),
};

export class Inbox {
  /** @type {State} */
  state = BEGINNING;
  base;
  sessions;
  #client;
  #feed;
  #notifier;
  #device;
  #troubles;
  #isPage;
  /** @type {Set<() => void>} */
  #watchers = new Set();
  #isTelling = false;
  #leaving = new AbortController();
  /** @type {AbortController | undefined} */
  #historyStop;
  /** @type {AsyncIterator<Request> | undefined} */
  #older;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #searchTimer;
  /** @type {((mode: Mode | "list" | "detail" | "search") => void) | undefined} set by the components */
  focus;

  /** @param {{ base: string, isPage: boolean }} place */
  constructor({ base, isPage }) {
    this.base = base;
    this.#isPage = isPage;
    this.sessions = new Sessions(base);
    this.#client = new Sayso({ url: base, fetch: this.sessions.fetch });
    this.#feed = feed(base, (told) => this.#hear(told));
    this.#notifier = new Notifier(base, isPage, (id) => this.open(id));
    this.#device = new Device(base, this.sessions.fetch, (id) => this.open(id));
    this.#troubles = new Troubles(base, this.sessions.fetch, (troubles) => this.state.session === "open" && this.update({ troubles }));
    const settings = remembered();
    this.state = { ...BEGINNING, ...settings, notifies: settings.notifies && this.#notifier.isAllowed, now: Date.now() };
  }

  /** Calls `watch` after each change, once for several made together; gives what ends that. @param {() => void} watch */
  watch(watch) {
    this.#watchers.add(watch);
    return () => void this.#watchers.delete(watch);
  }

  /** @param {Partial<State>} changes */
  update(changes) {
    this.state = { ...this.state, ...changes };
    if (this.#isTelling) return;
    this.#isTelling = true;
    queueMicrotask(() => {
      this.#isTelling = false;
      for (const watch of this.#watchers) watch();
      this.#notifier.badge(this.state.session === "open" ? open(this.state).length : 0);
    });
  }

  /** Begins: who is there, then what waits. */
  start() {
    const { signal } = this.#leaving;
    const every = setInterval(() => this.tick(Date.now()), TICK);
    signal.addEventListener("abort", () => clearInterval(every));
    for (const name of ["pagehide", "freeze"]) addEventListener(name, () => this.#goAway(), { signal });
    addEventListener("pageshow", (event) => event.persisted && this.#comeBack(), { signal });
    addEventListener("online", () => this.nudge(), { signal });
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.nudge(), { signal });
    void this.#enter();
  }

  /** Ends it, as when its element is taken off the page; what was to be sent is sent. */
  stop() {
    this.#goAway();
    this.#leaving.abort();
    this.#notifier.badge(0);
  }

  /** @param {string} key */
  async signIn(key) {
    this.update({ sessionFault: "" });
    try {
      const session = await this.sessions.begin(key);
      if (session) this.#entered(session);
      else this.update({ sessionFault: "That is not the key of this server." });
    } catch {
      this.update({ sessionFault: "The server could not be reached. Try again." });
    }
  }

  async signOut() {
    this.#sendAll();
    await this.#unpush();
    await this.sessions.end().catch(() => {});
    this.#feed.end();
    this.#forget("");
  }

  /** Tries at once to hear the server again. */
  nudge() {
    if (this.state.session === "open") this.#feed.nudge();
    else if (this.state.session === "checking") void this.#enter();
  }

  /** @param {number} now */
  tick(now) {
    for (const held of due(this.state.held, now)) void this.#send(held);
    const notes = this.state.notes.filter((note) => note.until === null || note.until > now);
    const changed = notes.length < this.state.notes.length;
    this.update({ now, ...(changed && { notes }) });
  }

  // Looking

  /** @param {import("./types.d.ts").View} view */
  show(view) {
    if (view === this.state.view) return;
    this.update({ view, selectedId: null, isReading: false, picked: new Set(), overlay: null });
    if (view === "history") this.#reloadHistory();
    this.#goTo();
  }

  /** Selects, and shows beside the list where there is room. @param {string | null} id */
  select(id) {
    if (id === this.state.selectedId) return;
    this.update({ selectedId: id });
    if (id !== null) void this.#know(id);
    this.#goTo();
  }

  /** Selects, and shows in place of the list where there is no room for both. @param {string} id */
  open(id) {
    const isNew = !this.state.isReading;
    this.update({ selectedId: id, isReading: true, overlay: null });
    void this.#know(id);
    this.#goTo(isNew);
  }

  close() {
    this.update({ isReading: false });
  }

  /** @param {number} step 1 or -1 */
  move(step) {
    const list = shown(this.state);
    const at = list.findIndex((request) => request.request_id === this.state.selectedId);
    const next = list[at < 0 ? (step > 0 ? 0 : list.length - 1) : Math.min(Math.max(at + step, 0), list.length - 1)];
    if (next) this.select(next.request_id);
  }

  /** What the address says, also after going back. @param {import("./route.js").Route} route */
  arrive({ view, requestId }) {
    if (view !== this.state.view) {
      this.update({ view, picked: new Set() });
      if (view === "history" && this.state.session === "open") this.#reloadHistory();
    }
    if (requestId !== this.state.selectedId || !requestId) this.update({ selectedId: requestId, isReading: requestId !== null });
    if (requestId && this.state.session === "open") void this.#know(requestId);
  }

  /** @param {string} query */
  search(query) {
    this.update({ query });
    if (this.state.view !== "history") return;
    clearTimeout(this.#searchTimer);
    this.#searchTimer = setTimeout(() => this.#reloadHistory(), SEARCH);
  }

  /** @param {import("./types.d.ts").Order} order */
  sort(order) {
    this.update({ order });
    remember({ order });
  }

  /** @param {State["overlay"]} overlay */
  overlay(overlay) {
    this.update({ overlay: overlay === this.state.overlay ? null : overlay });
  }

  /** @param {boolean} hasKeys */
  useKeys(hasKeys) {
    this.update({ hasKeys });
    remember({ hasKeys });
  }

  /** @param {boolean} wanted */
  async notify(wanted) {
    const notifies = wanted && (await this.#notifier.allow());
    this.update({ notifies });
    remember({ notifies });
    if (notifies) await this.#push();
    else await this.#unpush();
    if (wanted && !notifies) this.note({ tone: "bad", title: "Your browser does not allow notifications from this page", detail: refusal() });
    if (notifies && !this.state.pushes) this.note({ tone: "plain", title: "You are notified while this page is open", detail: `${this.#lack}.` });
  }

  /** Why the server does not tell this device while no page is open. */
  #lack = "";

  /** Has this device told while no page is open, too, where that can be. */
  async #push() {
    try {
      await this.#device.on();
      this.update({ pushes: true });
    } catch (/** @type {any} */ error) {
      this.#lack = error.message;
      this.update({ pushes: false });
    }
  }

  async #unpush() {
    this.update({ pushes: false });
    await this.#device.off().catch(() => {});
  }

  // Selecting several

  /** @param {string} id */
  pick(id) {
    const picked = new Set(this.state.picked);
    if (!picked.delete(id)) picked.add(id);
    this.update({ picked });
  }

  unpick() {
    this.update({ picked: new Set() });
  }

  /** What an answer would go to: those picked, else the one that is shown. @returns {Request[]} */
  get targets() {
    const { picked, requests, selectedId } = this.state;
    const ids = picked.size ? [...picked] : selectedId === null ? [] : [selectedId];
    return open(this.state).filter((request) => ids.includes(request.request_id) && requests.has(request.request_id));
  }

  // Answering

  /** What is begun for a request. @param {Request} request @returns {Draft} */
  draft(request) {
    return this.state.drafts.get(request.request_id) ?? { mode: firstMode(request) };
  }

  /** @param {Request} request @param {Partial<Draft>} changes */
  write(request, changes) {
    const drafts = new Map(this.state.drafts).set(request.request_id, { ...this.draft(request), faults: [], ...changes });
    this.update({ drafts });
  }

  /** Opens the place to write in. @param {Mode | null} mode */
  begin(mode) {
    const [request] = this.targets;
    if (!request || (mode && !request.allow.includes(mode)) || (mode === "edit" && this.targets.length > 1)) return;
    if (!haveOneShape(this.targets)) return;
    this.write(request, { mode, ...(request.response_schema && { fields: this.draft(request).fields ?? fieldsOf(request) }) });
    if (!this.state.picked.size) this.update({ isReading: true });
    if (mode) this.focus?.(mode);
  }

  /** Answers with what is written in this mode; `approve` needs nothing written. @param {Mode | "approve"} mode @param {Partial<Draft>} [changes] */
  answer(mode, changes) {
    const requests = this.targets;
    const [request] = requests;
    if (!request || !request.allow.includes(mode) || !haveOneShape(requests)) return;
    const meant = submissionOf(request, mode, { ...this.draft(request), ...changes });
    if ("faults" in meant) {
      this.write(request, { ...changes, mode: mode === "approve" ? null : mode, faults: meant.faults });
      return;
    }
    this.#hold(requests, meant.submission);
  }

  /** Chooses an option by its place; where words may go with it, it is only marked. @param {number} number from 1 */
  choose(number) {
    const [request] = this.targets;
    const option = request?.options[number - 1];
    if (request && option) this.answer("respond", { option: option.id });
  }

  /** Takes the answer back that was given last, or this one. @param {string} [id] */
  undo(id) {
    const held = id === undefined ? latest(this.state.held) : this.state.held.find((one) => one.id === id);
    if (!held) return;
    this.update({ held: without(this.state.held, held.id), notes: this.state.notes.filter((note) => note.heldId !== held.id) });
    const [first] = held.requests;
    if (first && this.state.view === "waiting") this.select(first.request_id);
    this.note({ tone: "plain", title: "Taken back", detail: titles(held.requests), until: Date.now() + NOTE / 2 });
  }

  /** @param {readonly Request[]} requests @param {import("./types.d.ts").Submission} submission */
  #hold(requests, submission) {
    const now = Date.now();
    const id = newId();
    const isHeld = canBeHeld(submission);
    /** @type {Held} */
    const held = { id, requests, submission: { ...submission, answer_id: id }, until: now + UNDO };
    const neighbours = shown(this.state);
    const at = neighbours.findIndex((request) => request.request_id === this.state.selectedId);
    this.update({ held: [...this.state.held, held], picked: new Set() });
    if (isHeld) this.note({ tone: "good", title: `${said(submission)} · ${titles(requests)}`, heldId: id, until: held.until });
    const left = shown(this.state);
    const next = left[Math.min(Math.max(at, 0), left.length - 1)];
    if (requests.some((request) => request.request_id === this.state.selectedId)) {
      this.update({ selectedId: null });
      this.select(next?.request_id ?? null);
      if (!next) this.update({ isReading: false });
      this.#goTo();
    }
    this.focus?.("list");
    if (!isHeld) void this.#send(held);
  }

  /** @param {Held} held */
  async #send(held) {
    if (!this.state.held.includes(held)) return;
    this.update({ held: this.state.held.map((one) => (one === held ? { ...one, until: Infinity } : one)), notes: this.state.notes.filter((note) => note.heldId !== held.id) });
    await Promise.all(held.requests.map((request, number) => this.#sendOne(held, request, number)));
  }

  /** @param {Held} held @param {Request} request @param {number} number */
  async #sendOne(held, request, number) {
    const seen = request.action && { action_digest: request.action.digest }; // of the call that was shown, and no other
    const submission = { ...held.submission, ...seen, answer_id: number ? `${held.id}-${number}` : held.id };
    try {
      const settled = await this.#client.answer(request.request_id, submission, { signal: this.#leaving.signal });
      this.update({ requests: withListed(this.state.requests, [settled]) });
      this.#dropDraft(request.request_id);
    } catch (error) {
      if (!this.#leaving.signal.aborted) this.#rollBack(request, error);
    }
    this.update({ held: withoutRequest(this.state.held, request.request_id) });
  }

  /** The answer did not count: the request is shown as it is, and why. @param {Request} request @param {any} error */
  #rollBack(request, error) {
    if (error instanceof AlreadySettled) {
      this.update({ requests: withListed(this.state.requests, [error.request]) });
      this.#tellFirst(error.request);
      return;
    }
    if (error.code === "unauthorised") this.#forget("Your session has ended. Sign in again; your answer is still here.");
    if (error.code === "invalid") this.write(request, { faults: faultsHere(error.errors) });
    if (error.code === "action-mismatch") void this.#lookAgain(request);
    this.note({ tone: "bad", title: `Not sent · ${titleOf(request)}`, detail: sentence(error), requestId: request.request_id, until: null });
  }

  /** What is shown is not what is asked about, so it is shown anew. @param {Request} request */
  async #lookAgain({ request_id: id }) {
    try {
      const request = await this.#client.get(id, { signal: this.#leaving.signal });
      this.update({ requests: withListed(this.state.requests, [request]) });
      this.#dropDraft(id);
    } catch {
      // what the note says is true all the same
    }
  }

  /** Someone else was first: who, how, and what they said. @param {Request} request */
  #tellFirst(request) {
    const said = saidOf(request);
    const who = request.settled_channel === "system" ? "" : `${personOf(request.settled_by)} was first ${channelOf(request.settled_channel)}`.trim();
    const how = `It ${request.status === "answered" ? "was " : ""}${endingOf(request)}${said ? `: “${said.slice(0, 300)}”.` : "."}`;
    this.note({ tone: "bad", title: capital(who || titleOf(request)), detail: `${titleOf(request)} · ${how} Your answer was not used.`, requestId: request.request_id, until: null });
  }

  // Telling

  /** @param {Omit<Note, "id" | "until"> & { until?: number | null }} note */
  note(note) {
    const whole = { id: newId(), until: Date.now() + NOTE, ...note };
    this.update({ notes: [...this.state.notes, whole].slice(-6) });
  }

  /** @param {string} id */
  dismiss(id) {
    this.update({ notes: this.state.notes.filter((note) => note.id !== id) });
  }

  /** @param {Request} request */
  async copyLink(request) {
    await this.#copy(linkTo(this.base, request), "Link copied");
  }

  /** @param {Request} request */
  async copyCurl(request) {
    await this.#copy(curlOf(request, this.base, this.state.needsKey), "Command copied");
  }

  /** Asks what an agent might, so that there is something to try. */
  async sendSample() {
    try {
      const request = await this.#client.ask(sample());
      this.update({ requests: withListed(this.state.requests, [request]) });
      this.open(request.request_id);
    } catch (error) {
      this.note({ tone: "bad", title: "The sample was not sent", detail: sentence(error) });
    }
  }

  /** More of history; nothing when there is no more, or it is on its way. */
  async readOlder() {
    const { history } = this.state;
    if (history.state === "loading" || history.state === "whole" || !this.#older) return;
    const older = this.#older;
    this.update({ history: { ...history, state: "loading" } });
    /** @type {Request[]} */
    const found = [];
    try {
      for (let isDone = false; !isDone && found.length < HISTORY_PAGE; ) {
        const next = await older.next();
        isDone = next.done ?? false;
        if (!next.done) found.push(next.value);
        if (older !== this.#older) return;
        if (isDone) this.#older = undefined;
      }
      const requests = [...this.state.history.requests, ...found];
      this.update({ history: { requests, state: this.#older ? "idle" : "whole" } });
    } catch {
      if (older === this.#older) this.update({ history: { ...this.state.history, state: "failed" } });
    }
  }

  /** @param {string} text @param {string} done */
  async #copy(text, done) {
    try {
      await navigator.clipboard.writeText(text);
      this.note({ tone: "plain", title: done, detail: text, until: Date.now() + NOTE / 2 });
    } catch {
      this.note({ tone: "plain", title: "Copy it from here", detail: text, until: null });
    }
  }

  async #enter() {
    try {
      const session = await this.sessions.look();
      if (session) this.#entered(session);
      else this.update({ session: "needed", needsKey: true });
    } catch {
      this.update({ link: "broken" });
    }
  }

  /** @param {import("./session.js").Session} session */
  #entered({ by, needs_key: needsKey }) {
    this.update({ session: "open", by: by ?? "", needsKey, sessionFault: "" });
    this.#feed.join();
    void this.#troubles.look();
    if (this.state.notifies) void this.#push();
    if (this.state.view === "history") this.#reloadHistory();
    if (this.state.selectedId) void this.#know(this.state.selectedId);
  }

  /** The session is over: nothing of it stays on the page, but what was written. @param {string} why */
  #forget(why) {
    const { drafts, order, hasKeys, notifies, view, selectedId } = this.state;
    this.#troubles.end();
    this.update({ ...BEGINNING, drafts, order, hasKeys, notifies, view, selectedId, now: Date.now(), session: "needed", needsKey: true, sessionFault: why });
  }

  /** @param {import("./stream.js").Told} told */
  #hear(told) {
    if (this.state.session !== "open") return;
    if (told.type === "link") this.update({ link: told.link });
    else if (told.type === "ready") void this.#list();
    else if (told.type === "message") this.#take(told.message);
    else if (told.code === "unauthorised") this.#forget("Your session has ended. Sign in again.");
    else this.update({ link: "broken" });
  }

  /** @param {import("./types.d.ts").Message} message */
  #take(message) {
    if (message.type === "human_input_required") {
      const isNew = !this.state.requests.has(message.request_id);
      this.update({ requests: withAsked(this.state.requests, message) });
      const request = this.state.requests.get(message.request_id);
      if (isNew && request && this.state.notifies && !this.state.pushes) this.#notifier.tell(request);
    } else if (message.type === "human_input_completed") {
      const held = answering(this.state.held, message.request_id);
      const requests = withSettled(this.state.requests, message);
      const picked = new Set(this.state.picked);
      picked.delete(message.request_id);
      this.update({ requests, picked });
      const request = requests.get(message.request_id);
      if (held && held.until < Infinity && request) {
        const left = withoutRequest(this.state.held, message.request_id);
        const gone = left.length < this.state.held.length;
        this.update({ held: left, ...(gone && { notes: this.state.notes.filter((note) => note.heldId !== held.id) }) });
        this.#tellFirst(request);
      }
    }
  }

  /** Everything that is open now, and with it what was settled while nothing was heard. */
  async #list() {
    /** @type {Request[]} */
    const found = [];
    try {
      for await (const request of this.#client.list({ status: "pending", limit: PAGE, signal: this.#leaving.signal })) found.push(request);
    } catch (/** @type {any} */ error) {
      if (this.#leaving.signal.aborted) return;
      if (error.code === "unauthorised") this.#forget("Your session has ended. Sign in again.");
      else setTimeout(() => this.state.session === "open" && this.#list(), 2000);
      return;
    }
    this.update({ requests: withOpen(this.state.requests, found), isLoaded: true });
    if (this.state.selectedId) void this.#know(this.state.selectedId);
  }

  /** Fetches a request that is shown and not known, and the rounds before it. @param {string} id */
  async #know(id) {
    const known = this.state.requests.get(id) ?? this.state.history.requests.find((request) => request.request_id === id);
    if (known) {
      if (known.previous && !this.state.requests.has(known.previous) && !this.state.missing.has(known.previous)) await this.#know(known.previous);
      return;
    }
    try {
      const request = await this.#client.get(id, { signal: this.#leaving.signal });
      this.update({ requests: withListed(this.state.requests, [request]) });
      if (request.previous) await this.#know(request.previous);
    } catch (/** @type {any} */ error) {
      if (error.code === "not-found") this.update({ missing: new Set(this.state.missing).add(id) });
    }
  }

  #reloadHistory() {
    this.#historyStop?.abort();
    const stop = (this.#historyStop = new AbortController());
    const query = parsed(this.state.query);
    const statuses = SETTLED.filter((one) => !query.fields.has("status") || query.fields.get("status")?.includes(one));
    const run = fieldOf(this.state.query, "run");
    const [word] = [...query.words, ...(query.fields.get("agent") ?? [])].sort((a, b) => b.length - a.length);
    this.#older = this.#client.list({
      status: statuses.length ? statuses : SETTLED,
      order: "newest",
      q: word,
      limit: HISTORY_PAGE,
      signal: stop.signal,
      ...(run && /^[\w.~:-]{1,128}$/.test(run) && { executionId: run }),
    });
    this.update({ history: { requests: [], state: "idle" } });
    void this.readOlder();
  }

  /** @param {string} id */
  #dropDraft(id) {
    if (!this.state.drafts.has(id)) return;
    const drafts = new Map(this.state.drafts);
    drafts.delete(id);
    this.update({ drafts });
  }

  #sendAll() {
    for (const held of this.state.held) void this.#send(held);
  }

  /** The page goes away: what is held is sent now, by a call that outlives the page. */
  #goAway() {
    this.sessions.isLeaving = true;
    this.#sendAll();
    this.#feed.leave();
  }

  #comeBack() {
    this.sessions.isLeaving = false;
    if (this.state.session === "open") this.#feed.join();
  }

  /** @param {boolean} [isNew] whether "back" returns to where one was */
  #goTo(isNew = false) {
    if (!this.#isPage) return;
    const hash = hashOf({ view: this.state.view, requestId: this.state.selectedId });
    if (hash === (location.hash || "#/")) return;
    if (isNew) history.pushState(null, "", hash);
    else history.replaceState(null, "", hash);
  }
}

/** @param {string} base @param {Request} request */
export const linkTo = (base, request) => new URL(hashOf({ view: "waiting", requestId: request.request_id }), base).href;

/** @param {readonly Request[]} requests */
const titles = ([first, ...others]) => (first ? titleOf(first) + (others.length ? ` and ${counted(others.length, "other")}` : "") : "");

/** @param {import("./types.d.ts").Submission} submission */
const said = ({ decision }) => ({ approve: "Approved", edit: "Edited", respond: "Answered", reject: "Rejected" })[decision ?? "respond"];

/** @param {string} text */
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** @param {any} error */
function sentence(error) {
  if (error?.code === "action-mismatch") return "The call that this asks about is not the one that was shown here. Look at it again.";
  if (error?.code === "unavailable") return "The server could not be reached. What you wrote is still here.";
  return error?.detail ?? String(error);
}
