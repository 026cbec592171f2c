/** The same answer as a command for a shell. Pure. */

/**
 * @param {import("./types.d.ts").Request} request
 * @param {string} base the server's address, with a slash at its end
 * @param {boolean} needsKey
 */
export function curlOf(request, base, needsKey) {
  const key = needsKey ? '-H "Authorization: Bearer $SAYSO_API_KEY" ' : "";
  return `curl ${key}-d ${quoted(JSON.stringify(bodyOf(request)))} ${quoted(`${base}requests/${request.request_id}/answer`)}`;
}

/** An answer that the request takes, in which only words are left to change. @param {import("./types.d.ts").Request} request */
function bodyOf(request) {
  if (request.kind === "approval") return { decision: request.allow[0] };
  if (request.kind === "form") return { values: {} };
  if (request.options[0]) return { option_ids: [request.options[0].id] };
  return { human_feedback: "YOUR WORDS" };
}

/** One word to a POSIX shell, whatever is in it. @param {string} text */
const quoted = (text) => (/^[\w./:@%+=~-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
