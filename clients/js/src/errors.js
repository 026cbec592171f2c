/** What can go wrong, as one tree, and how a server's problem object (RFC 9457) becomes one of it. No I/O. */

/** @typedef {import("../index.d.ts").ErrorMembers} ErrorMembers */

const PREFIX = "urn:sayso:problem:";

/** Something went wrong; `code` says what, for programs. */
export class SaysoError extends Error {
  /**
   * @param {string} detail
   * @param {ErrorMembers} [members]
   */
  constructor(detail, { code = "internal", status = 0, retry = false, retryAfter = 0, cause } = {}) {
    super(detail, { cause });
    this.name = "SaysoError"; // not the class's own: bundlers rename classes
    this.detail = detail;
    this.code = code;
    this.status = status;
    this.retry = retry;
    this.retryAfter = retryAfter;
  }
}

/** The input does not have the form or the meaning it must have. */
export class Invalid extends SaysoError {
  /**
   * @param {string} detail
   * @param {ErrorMembers} [members]
   */
  constructor(detail, members = {}) {
    super(detail, members);
    this.errors = members.errors ?? [];
  }
}

/** The request has been settled already; the first answer counts. */
export class AlreadySettled extends SaysoError {
  /**
   * @param {string} detail
   * @param {ErrorMembers} members
   */
  constructor(detail, members) {
    super(detail, members);
    this.request = /** @type {import("../index.d.ts").Request} */ (members.request);
  }
}

/** This request_id is already taken by another question. */
export class RequestMismatch extends SaysoError {}

/** There is no such thing here. */
export class NotFound extends SaysoError {}

/** A valid key is needed. */
export class Unauthorised extends SaysoError {}

/** The caller may not do this. */
export class Forbidden extends SaysoError {}

/** Not at the moment, or no reply at all; the same call may work later. */
export class Unavailable extends SaysoError {
  /**
   * @param {string} detail
   * @param {ErrorMembers} [members]
   */
  constructor(detail, members) {
    super(detail, { code: "unavailable", retry: true, ...members });
  }
}

const KINDS = new Map(
  Object.entries({
    invalid: Invalid,
    "already-settled": AlreadySettled,
    "request-mismatch": RequestMismatch,
    "not-found": NotFound,
    unauthorised: Unauthorised,
    forbidden: Forbidden,
  }),
);

const CODES = new Map([
  [401, "unauthorised"],
  [403, "forbidden"],
  [404, "not-found"],
]);

/**
 * The error that a reply tells of, also one of a proxy that knows nothing of sayso.
 *
 * @param {number} status of HTTP; 0 for a redirect that a browser hides
 * @param {any} problem the body as JSON; undefined where it is none
 * @param {number} [retryAfter] milliseconds
 * @returns {SaysoError}
 */
export function errorOf(status, problem, retryAfter = 0) {
  const retry = status >= 500 || [408, 425, 429].includes(status);
  const type = typeof problem?.type === "string" ? problem.type : "";
  const told = type.startsWith(PREFIX);
  const code = told ? type.slice(PREFIX.length) : (CODES.get(status) ?? (retry ? "unavailable" : "misconfigured"));
  const Kind = KINDS.get(code) ?? (retry ? Unavailable : SaysoError);
  const detail = !told ? notSayso(`HTTP status ${status}`) : typeof problem.detail === "string" ? problem.detail : code;
  const errors = Array.isArray(problem?.errors) ? problem.errors : undefined;
  return new Kind(detail, { code, status, retry, retryAfter, errors, request: problem?.request });
}

/**
 * @param {string} text that should be a JSON object
 * @param {number} [status]
 * @returns {any}
 */
export function parsed(text, status = 200) {
  let found;
  try {
    found = JSON.parse(text);
  } catch (cause) {
    throw misconfigured("what is not JSON", status, cause);
  }
  if (!isObject(found)) throw misconfigured("what is no object", status);
  return found;
}

/**
 * The objects in a member that lists some.
 *
 * @param {any} list
 * @returns {any[]}
 */
export function objects(list) {
  if (!Array.isArray(list) || !list.every(isObject)) throw misconfigured("what is no list of objects");
  return list;
}

/**
 * @param {string} what it answers with
 * @param {number} [status]
 * @param {unknown} [cause]
 */
export const misconfigured = (what, status = 200, cause) =>
  new SaysoError(notSayso(what), { code: "misconfigured", status, cause });

/** @param {unknown} value */
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** @param {string} what */
const notSayso = (what) => `it answers with ${what}, not as a sayso server does; check the address`;
